package npm

import "strings"

// Publication is a publish that keeps every rule that can be checked without
// the tarball's bytes.
type Publication struct {
	Name, Version          string
	Tags                   []string  // the dist-tags that Version is to get; at least one
	Manifest               Object    // as it is to be stored, but for what only the registry knows; see normalise
	Readme, ReadmeFilename string    // "" where there is none
	Access                 string    // "public", "restricted" or ""
	Integrity              Integrity // as claimed: dist.integrity, else dist.shasum; zero where nothing is
	Shasum                 string    // as claimed, in lower-case hexadecimal; "" where nothing is
	Tarball                Attachment
	Provenance             []byte // the JSON of the sigstore bundle; nil where there is none
}

// ParsePublish reads a publish of the package name and checks it by every
// rule that the public registry or a peer of ours holds. Whether a package of
// that name may be made (CheckNewName), and whether the version is there
// already, is for the caller to see. The error's kind is Invalid, and its
// sentence says which rule is broken.
func ParsePublish(p *Put, name string) (*Publication, error) {
	pub, err := parsePublish(p, name)
	if err != nil {
		return nil, &Error{Kind: Invalid, Op: "npm.ParsePublish", Name: name, Msg: Message(err)}
	}
	return pub, nil
}

func parsePublish(p *Put, name string) (*Publication, error) {
	if got := p.Doc.String("name"); got != name {
		return nil, notPublish("the body is of package %.80q and the path of %.80q", got, name)
	}
	pub := &Publication{Name: name}
	for _, read := range []func(*Put) error{
		pub.readVersion, pub.readTags, pub.readAccess, pub.readAttachments, pub.readDist,
	} {
		if err := read(p); err != nil {
			return nil, err
		}
	}
	pub.readReadme(p.Doc)
	return pub, pub.normalise()
}

// readVersion finds the one version of the body.
func (pub *Publication) readVersion(p *Put) error {
	raw, _ := p.Doc.Get("versions")
	versions, err := ParseObject(raw)
	if err != nil || len(versions) != 1 {
		return notPublish(`"versions" is not an object of one version`)
	}
	version := versions[0].Key
	if err := CheckNewVersion(version); err != nil {
		return err
	}
	manifest, err := ParseObject(versions[0].Value)
	if err != nil {
		return notPublish("the manifest of version %s is not an object", version)
	}
	if got := manifest.String("name"); got != pub.Name {
		return notPublish("the manifest of version %s has the name %.80q", version, got)
	}
	if got := manifest.String("version"); got != version {
		return notPublish("the manifest of version %s has the version %.80q", version, got)
	}
	if private, ok := manifest.Get("private"); ok && isTruthy(private) {
		return notPublish(`%s is marked as private in its package.json: remove "private" from it to publish`, pub.Name)
	}
	pub.Version, pub.Manifest = version, manifest
	return nil
}

// maxPublishTags bounds the dist-tags of one publish. Clients send one.
const maxPublishTags = 100

func (pub *Publication) readTags(p *Put) error {
	raw, _ := p.Doc.Get("dist-tags")
	tags, err := ParseObject(raw)
	if err != nil || len(tags) == 0 {
		return notPublish(`"dist-tags" is not an object that names a tag for the version`)
	}
	if len(tags) > maxPublishTags {
		return notPublish(`"dist-tags" has more than %d tags`, maxPublishTags)
	}
	for _, tag := range tags {
		if err := CheckTag(tag.Key); err != nil {
			return err
		}
		if got := string(unquote(tag.Value)); got != pub.Version {
			return notPublish("the dist-tag %s is for version %.80q and not for %s", tag.Key, got, pub.Version)
		}
		pub.Tags = append(pub.Tags, tag.Key)
	}
	return nil
}

func (pub *Publication) readAccess(p *Put) error {
	raw, ok := p.Doc.Get("access")
	if !ok || string(raw) == "null" { // null is npm's for "not said"
		return nil
	}
	switch pub.Access = p.Doc.String("access"); pub.Access {
	case "public", "restricted":
		return nil
	}
	return notPublish(`"access" is %.80s and neither "public" nor "restricted"`, raw)
}

// readAttachments takes the tarball and the provenance by their names'
// endings. The rest of the names means nothing: that of a scoped package's
// tarball has the scope in it, and whose it is the manifest says.
func (pub *Publication) readAttachments(p *Put) error {
	for _, a := range p.Attachments {
		switch {
		case a.IsTarball():
			pub.Tarball = a // ReadPut lets no second one pass
		case !strings.HasSuffix(a.Name, ".sigstore"):
			return notPublish("attachment %.80q is neither a tarball nor its provenance", a.Name)
		case pub.Provenance != nil:
			return notPublish("the body has two .sigstore attachments")
		default:
			if _, err := ParseObject(a.Data); err != nil {
				return notPublish("the provenance of the tarball is not a JSON object")
			}
			pub.Provenance = a.Data
		}
	}
	switch a := pub.Tarball; {
	case a.Size == 0:
		return notPublish("the body has no tarball")
	case a.Length >= 0 && a.Length != a.Size:
		return notPublish("the tarball is declared as %d bytes and has %d", a.Length, a.Size)
	}
	return nil
}

// readDist reads what the publisher claims of the tarball.
func (pub *Publication) readDist(*Put) error {
	raw, ok := pub.Manifest.Get("dist")
	if !ok || string(raw) == "null" {
		return nil
	}
	dist, err := ParseObject(raw)
	if err != nil {
		return notPublish(`"dist" is not an object`)
	}
	if shasum := dist.String("shasum"); shasum != "" {
		if pub.Integrity, err = ParseShasum(shasum); err != nil {
			return err
		}
		pub.Shasum = strings.ToLower(shasum)
	}
	if integrity := dist.String("integrity"); integrity != "" {
		pub.Integrity, err = ParseIntegrity(integrity)
	}
	return err
}

// noReadme is what npm 6 and older write where there is none.
const noReadme = "ERROR: No README data found!"

// readReadme finds the README: npm and pnpm put it into the version, yarn
// beside it.
func (pub *Publication) readReadme(doc Object) {
	for _, o := range []Object{pub.Manifest, doc} {
		if text := o.String("readme"); pub.Readme == "" && strings.TrimSpace(text) != noReadme {
			pub.Readme = text
		}
		if pub.ReadmeFilename == "" {
			pub.ReadmeFilename = o.String("readmeFilename")
		}
	}
}

// CheckNewVersion reports whether version may be published: a semantic version
// in its canonical form, so that no version has two names. Kind Invalid.
func CheckNewVersion(version string) error {
	if _, ok := parseExact(version); !ok {
		return invalidf("npm.CheckNewVersion", "%.80q is not a semantic version in its canonical form", version)
	}
	return nil
}

func notPublish(format string, args ...any) error {
	return invalidf("npm.ParsePublish", format, args...)
}
