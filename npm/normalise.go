package npm

import (
	"encoding/json"
	"path"
	"strings"
)

// The members of a manifest and of its "dist" that are not the publisher's to
// say. Some leak paths of the publisher's machine (_resolved and _from, where a
// file is published), some are claims that only who has the tarball can make,
// and bun repeats its hashes beside "dist".
var (
	foreignMembers = [...]string{"readme", "_attachments", "_resolved", "_from", "_integrity", "integrity", "shasum",
		"_npmUser", "_hasShrinkwrap", "hasInstallScript"}
	foreignDist = [...]string{"tarball", "integrity", "shasum", "fileCount", "unpackedSize", "signatures",
		"npm-signature", "attestations"}
)

// normalise makes of the manifest what is stored, as the public registry does,
// but for what only the registry knows: whoever stores it sets the members of
// "dist", which is there always, hasInstallScript, _hasShrinkwrap, _npmUser
// and maintainers. All else stays, in its place and byte for byte.
func (pub *Publication) normalise() error {
	m := &pub.Manifest
	for _, key := range foreignMembers {
		m.Delete(key)
	}
	if deprecated, ok := m.Get("deprecated"); ok && !isTruthy(deprecated) {
		m.Delete("deprecated")
	}
	m.SetString("_id", pub.Name+"@"+pub.Version)
	if err := m.normaliseBin(pub.Name); err != nil {
		return err
	}
	dist := Object{}
	if raw, ok := m.Get("dist"); ok && isObject(raw) {
		var err error
		if dist, err = ParseObject(raw); err != nil {
			return err
		}
	}
	for _, key := range foreignDist {
		dist.Delete(key)
	}
	m.Set("dist", dist.AppendJSON(nil))
	return nil
}

// normaliseBin makes of a manifest's "bin" what npm-normalize-package-bin 5.0.0
// makes of it: an object of commands, which have no directory in their names,
// with paths that stay below the package. One that is that already keeps its
// bytes.
func (m *Object) normaliseBin(name string) error {
	bin, ok := m.Get("bin")
	if !ok {
		return nil
	}
	commands, err := binCommands(bin, name)
	if err != nil {
		return err
	}
	slashes := strings.NewReplacer(`\`, "/", ":", "/")
	clean := make(Object, 0, len(commands))
	same := isObject(bin)
	for _, c := range commands {
		command := under(path.Base(slashes.Replace(c.Key)))
		given := string(unquote(c.Value))
		target := under(strings.ReplaceAll(given, `\`, "/"))
		same = same && command == c.Key && target == given
		if command != "" && target != "" {
			clean = append(clean, Member{command, Quote(target)})
		}
	}
	switch {
	case len(clean) == 0:
		m.Delete("bin")
	case !same:
		// Once more, since two commands may have become one.
		if clean, err = ParseObject(clean.AppendJSON(nil)); err != nil {
			return err
		}
		m.Set("bin", clean.AppendJSON(nil))
	}
	return nil
}

// binCommands returns the members of a "bin" in any of its notations: an
// object, the path of the one command, which has the package's name, or a list
// of paths.
func binCommands(bin []byte, name string) (Object, error) {
	switch {
	case isObject(bin):
		return ParseObject(bin)
	case isString(bin):
		return Object{{name, bin}}, nil
	}
	var list []json.RawMessage
	if json.Unmarshal(bin, &list) != nil {
		return nil, nil // a number or a word: no command
	}
	var o Object
	for _, item := range list {
		o = append(o, Member{path.Base(string(unquote(item))), item})
	}
	return o, nil
}

// under returns p as a path below the directory that it is relative to: "a"
// for "./a", "/a" and "../../a", and "" for what is that directory itself.
func under(p string) string { return path.Clean("/" + p)[1:] }

// HasInstallScript reports whether installing the version runs something, as a
// manifest's hasInstallScript says it: one of three scripts, or the compiler
// that npm runs for a binding.gyp where nobody said otherwise.
func (pub *Publication) HasInstallScript(t TarballInfo) bool {
	scripts, _ := pub.Manifest.Get("scripts")
	if runsOnInstall(&cursor{doc: scripts}) {
		return true
	}
	gypfile, _ := pub.Manifest.Get("gypfile")
	return t.HasGyp && string(gypfile) != "false"
}
