package hosted

import (
	"cmp"
	"maps"
	"slices"

	"larder/npm"
)

// hoisted are the members that a packument has from its latest version.
func hoisted() []string {
	return []string{"description", "homepage", "keywords", "repository", "author", "bugs", "license", "contributors"}
}

// Packument returns the document in its full form. It passes npm.Inspect.
// dist.tarball and dist.attestations.url are placeholders, which npm.Render
// replaces. It is made anew at each call and is the caller's.
func (k *Package) Packument() []byte {
	d := k.doc
	head := npm.Object{
		stringMember("_id", d.Name),
		stringMember("_rev", k.rev),
		stringMember("name", d.Name),
	}
	hoist(&head, d)
	head.Set("dist-tags", d.tagsJSON())
	tail := npm.Object{{Key: "time", Value: d.timeJSON()}}
	if len(d.Stars) > 0 {
		tail.Set("users", d.usersJSON())
	}
	tail.Set("maintainers", peopleJSON(d.Maintainers))
	if d.Access != "" {
		tail.SetString("access", d.Access)
	}
	tail.SetString("readme", d.Readme.Text)

	// The versions, which may take tens of megabytes, are written once.
	out := head.AppendJSON(make([]byte, 0, k.size+k.size/8))
	out = append(out[:len(out)-len("}")], `,"versions":`...)
	out = d.appendVersions(out)
	brace := len(out)
	out = tail.AppendJSON(out)
	out[brace] = ','
	return out
}

func hoist(doc *npm.Object, d *document) {
	latest := d.latest()
	if latest == nil {
		return
	}
	manifest, err := npm.ParseObject(latest.Manifest)
	if err != nil {
		return // it was checked when it was published
	}
	for _, key := range hoisted() {
		if value, ok := manifest.Get(key); ok {
			doc.Set(key, value)
		}
	}
	if d.Readme.Filename != "" {
		doc.SetString("readmeFilename", d.Readme.Filename)
	}
}

// tagsJSON writes latest first, then the others in the order of their names.
func (d *document) tagsJSON() []byte {
	var tags npm.Object
	if latest, ok := d.Tags["latest"]; ok {
		tags = append(tags, stringMember("latest", latest))
	}
	for _, tag := range slices.Sorted(maps.Keys(d.Tags)) {
		if tag != "latest" {
			tags = append(tags, stringMember(tag, d.Tags[tag]))
		}
	}
	return tags.AppendJSON(nil)
}

func (d *document) usersJSON() []byte {
	var users npm.Object
	for _, user := range d.Stars {
		users = append(users, npm.Member{Key: user, Value: []byte("true")})
	}
	return users.AppendJSON(nil)
}

// stringMember is for objects whose keys are known to differ: Object.Set would
// look for each of them among all the others.
func stringMember(key, value string) npm.Member {
	return npm.Member{Key: key, Value: npm.Quote(value)}
}

// appendVersions writes the manifests as they are stored, with "deprecated" at
// their end. A version needs no escaping.
func (d *document) appendVersions(out []byte) []byte {
	out = append(out, '{')
	for i, v := range d.Versions {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(append(out, '"'), v.Version...), `":`...)
		if v.Deprecated == "" {
			out = append(out, v.Manifest...)
			continue
		}
		// A manifest is never empty: it has at least a name.
		out = append(out, v.Manifest[:len(v.Manifest)-1]...)
		out = append(append(out, `,"deprecated":`...), npm.Quote(v.Deprecated)...)
		out = append(out, '}')
	}
	return append(out, '}')
}

// timeJSON writes when each version was published, those included that are
// gone, as the public registry does.
func (d *document) timeJSON() []byte {
	times := npm.Object{
		stringMember("created", d.Created.String()),
		stringMember("modified", d.Modified.String()),
	}
	for _, r := range d.history() {
		times = append(times, stringMember(r.version, r.published.String()))
	}
	if !d.Unpublished.IsZero() {
		times = append(times, npm.Member{Key: "unpublished", Value: d.unpublishedJSON()})
	}
	return times.AppendJSON(nil)
}

// unpublishedJSON is the member "unpublished" of "time" that npm looks for.
func (d *document) unpublishedJSON() []byte {
	versions := []byte{'['}
	for _, r := range d.history() {
		if len(versions) > 1 {
			versions = append(versions, ',')
		}
		versions = append(versions, npm.Quote(r.version)...)
	}
	return npm.Object{
		stringMember("name", d.Name),
		stringMember("time", d.Unpublished.String()),
		{Key: "versions", Value: append(versions, ']')},
	}.AppendJSON(nil)
}

type published struct {
	version   string
	published stamp
}

// history lists all versions that ever were, in the order of their publishing.
func (d *document) history() []published {
	var all []published
	for _, v := range d.Versions {
		all = append(all, published{v.Version, v.Published})
	}
	for _, t := range d.Tombstones {
		all = append(all, published{t.Version, t.Published})
	}
	slices.SortStableFunc(all, func(a, b published) int {
		return cmp.Or(a.published.Compare(b.published.Time), cmp.Compare(a.version, b.version))
	})
	return all
}

// Attestations returns the body of the attestation endpoint for version, and
// false where nothing was attested.
func (k *Package) Attestations(version string) ([]byte, bool) {
	return k.doc.version(version).attestations()
}
