package hosted

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"

	"larder/npm"
)

// finishManifest makes the manifest what the registry vouches for: what a
// client claims of dist, of the publisher and of what lies in the tarball is
// replaced by what is known here. Only "maintainers" is missing, for which see
// manifestFor. Members that nobody here knows stay as they were sent.
func (p *Packages) finishManifest(r *release) error {
	m := &r.manifest
	dist, err := p.dist(r)
	if err != nil {
		return err
	}
	m.Set("dist", dist.AppendJSON(nil))
	m.Set("_npmUser", personJSON(r.version.Publisher))
	m.Delete("deprecated") // kept apart
	setTrue(m, "_hasShrinkwrap", r.in.info.HasShrinkwrap)
	setTrue(m, "hasInstallScript", runsOnInstall(r.manifest, r.in.info.HasGyp))
	return nil
}

// manifestFor returns the manifest as it is stored, with a snapshot of the
// package's owners.
func (r *release) manifestFor(maintainers []Actor) json.RawMessage {
	m := slices.Clone(r.manifest)
	m.Set("maintainers", peopleJSON(maintainers))
	return compact(m.AppendJSON(nil))
}

// compact drops white space as encode does, so that a package in memory has the
// bytes of one that is read from disk. raw is valid JSON.
func compact(raw []byte) json.RawMessage {
	var out bytes.Buffer
	if err := json.Compact(&out, raw); err != nil {
		return raw // encode will say so
	}
	return out.Bytes()
}

// dist returns the version's dist, with placeholders for URLs, in the public
// registry's order.
func (p *Packages) dist(r *release) (npm.Object, error) {
	integrity := r.in.integrity()
	var dist npm.Object
	dist.SetString("integrity", integrity)
	dist.SetString("shasum", r.version.Tarball.SHA1)
	dist.SetString("tarball", "")
	dist.Set("fileCount", strconv.AppendInt(nil, int64(r.in.info.Files), 10))
	dist.Set("unpackedSize", strconv.AppendInt(nil, r.in.info.Unpacked, 10))
	if r.Provenance != nil {
		predicate, err := predicateType(r.Provenance)
		if err != nil {
			return nil, err
		}
		dist.Set("attestations", []byte(`{"url":"","provenance":{"predicateType":`+string(npm.Quote(predicate))+`}}`))
	}
	if p.sign != nil {
		keyID, signature, err := p.sign(r.Name + "@" + r.Version + ":" + integrity)
		if err != nil {
			return nil, &npm.Error{Kind: npm.Unavailable, Msg: "the registry cannot sign: nothing was published", Err: err}
		}
		dist.Set("signatures", []byte(`[{"keyid":`+string(npm.Quote(keyID))+`,"sig":`+string(npm.Quote(signature))+`}]`))
	}
	addUnknown(&dist, r.manifest)
	return dist, nil
}

// addUnknown adds what else the client has in its dist, except what only a
// registry can say.
func addUnknown(dist *npm.Object, manifest npm.Object) {
	raw, _ := manifest.Get("dist")
	claimed, err := npm.ParseObject(raw)
	if err != nil {
		return // there is none, or it is no object
	}
	for _, m := range claimed {
		switch m.Key {
		case "attestations", "signatures", "npm-signature":
			continue
		}
		if _, ours := dist.Get(m.Key); !ours {
			dist.Set(m.Key, m.Value)
		}
	}
}

// setTrue sets a member that is either true or lacking.
func setTrue(m *npm.Object, key string, value bool) {
	if value {
		m.Set(key, []byte("true"))
	} else {
		m.Delete(key)
	}
}

// runsOnInstall reports whether an installer has something to run. A
// binding.gyp stands for an install script of its own, unless the package says
// otherwise: npm's normalize-package-data makes one of it.
func runsOnInstall(manifest npm.Object, hasGyp bool) bool {
	raw, _ := manifest.Get("scripts")
	if scripts, err := npm.ParseObject(raw); err == nil {
		for _, event := range []string{"preinstall", "install", "postinstall"} {
			if scripts.String(event) != "" {
				return true
			}
		}
	}
	gypfile, _ := manifest.Get("gypfile")
	return hasGyp && string(gypfile) != "false"
}

// slsaProvenance is what npm itself attests where a bundle does not say.
const slsaProvenance = "https://slsa.dev/provenance/v1"

// predicateType returns what a sigstore bundle attests: it is in the in-toto
// statement that its envelope wraps.
func predicateType(bundle []byte) (string, error) {
	b, err := npm.ParseObject(bundle)
	if err != nil {
		return "", invalid("the provenance is not a sigstore bundle")
	}
	envelope, _ := b.Get("dsseEnvelope")
	e, _ := npm.ParseObject(envelope)
	payload, err := base64.StdEncoding.DecodeString(e.String("payload"))
	if err != nil {
		return slsaProvenance, nil
	}
	statement, _ := npm.ParseObject(payload)
	if predicate := statement.String("predicateType"); predicate != "" {
		return predicate, nil
	}
	return slsaProvenance, nil
}

// attestations returns the body of the attestation endpoint.
func (v *version) attestations() ([]byte, bool) {
	if v == nil || v.Provenance == nil {
		return nil, false
	}
	predicate, err := predicateType(v.Provenance)
	if err != nil {
		return nil, false
	}
	body := append([]byte(`{"attestations":[{"predicateType":`), npm.Quote(predicate)...)
	body = append(append(body, `,"bundle":`...), v.Provenance...)
	return append(body, `}]}`...), true
}

func personJSON(a Actor) []byte {
	return npm.Object{stringMember("name", a.Name), stringMember("email", a.Email)}.AppendJSON(nil)
}

func peopleJSON(people []Actor) []byte {
	out := []byte{'['}
	for i, a := range people {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, personJSON(a)...)
	}
	return append(out, ']')
}
