package hosted

import (
	"encoding/json"
	"strings"

	"larder/npm"
)

// entry is what the index knows of a package. All text to match is in lower case.
type entry struct {
	name  string // as it is
	live  bool   // has a version
	stars []string

	lower, base, scope string // of the name; scope without '@'
	description        string
	keywords           []string
	authors            []string // names, addresses and users: the author, and who published latest
	maintainers        []string
	unstable           bool   // latest is a pre-release or below 1.0.0
	found              []byte // "package" of a search result, JSON
}

// newEntry describes a package by its latest version.
func newEntry(d *document) *entry {
	e := &entry{name: d.Name, stars: d.Stars}
	latest := d.latest()
	if latest == nil {
		return e
	}
	manifest, err := npm.ParseObject(latest.Manifest)
	if err != nil {
		return e // it was checked when it was published
	}
	e.live = true
	e.lower = strings.ToLower(d.Name)
	e.base = npm.Basename(e.lower)
	e.scope = strings.TrimPrefix(npm.Scope(e.lower), "@")
	e.description = strings.ToLower(manifest.String("description"))
	keywords := keywordsOf(manifest)
	for _, k := range keywords {
		e.keywords = append(e.keywords, strings.ToLower(k))
	}
	author := personOf(manifest, "author")
	e.authors = lowerOf(author, latest.Publisher)
	e.maintainers = lowerOf(d.Maintainers...)
	if v, err := npm.ParseVersion(latest.Version); err == nil {
		e.unstable = v.Major == 0 || len(v.Pre) > 0
	}
	e.found = foundJSON(d, latest, manifest, keywords, author)
	return e
}

// foundJSON writes the member "package" of a search result. npm crashes without
// "maintainers", and without a "date" that it can parse.
func foundJSON(d *document, latest *version, manifest npm.Object, keywords []string, author Actor) []byte {
	scope := strings.TrimPrefix(npm.Scope(d.Name), "@")
	if scope == "" {
		scope = "unscoped"
	}
	o := npm.Object{
		stringMember("name", d.Name),
		stringMember("scope", scope),
		stringMember("version", latest.Version),
		stringMember("description", manifest.String("description")),
		{Key: "keywords", Value: stringsJSON(keywords)},
		stringMember("date", latest.Published.String()),
		{Key: "links", Value: linksJSON(manifest)},
	}
	if author != (Actor{}) {
		o = append(o, npm.Member{Key: "author", Value: personJSON(author)})
	}
	maintainers := []byte{'['}
	for i, m := range d.Maintainers {
		if i > 0 {
			maintainers = append(maintainers, ',')
		}
		maintainers = append(maintainers, userJSON(m)...)
	}
	o = append(o,
		npm.Member{Key: "publisher", Value: userJSON(latest.Publisher)},
		npm.Member{Key: "maintainers", Value: append(maintainers, ']')},
	)
	return o.AppendJSON(nil)
}

func userJSON(a Actor) []byte {
	return npm.Object{stringMember("username", a.Name), stringMember("email", a.Email)}.AppendJSON(nil)
}

func stringsJSON(list []string) []byte {
	out := []byte{'['}
	for i, s := range list {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, npm.Quote(s)...)
	}
	return append(out, ']')
}

// linksJSON writes the links of a search result, without "npm": the package's
// page there would be somebody else's.
func linksJSON(manifest npm.Object) []byte {
	var links npm.Object
	for _, key := range []string{"homepage", "repository", "bugs"} {
		url := manifest.String(key)
		if raw, _ := manifest.Get(key); url == "" {
			if o, err := npm.ParseObject(raw); err == nil {
				url = o.String("url")
			}
		}
		if url != "" {
			links.SetString(key, url)
		}
	}
	return links.AppendJSON(nil)
}

// keywordsOf returns the keywords, which some write as one string.
func keywordsOf(manifest npm.Object) []string {
	raw, _ := manifest.Get("keywords")
	var list []any
	if json.Unmarshal(raw, &list) != nil {
		return strings.FieldsFunc(manifest.String("keywords"), func(r rune) bool { return r == ',' || r == ' ' })
	}
	var keywords []string
	for _, k := range list {
		if k, ok := k.(string); ok {
			keywords = append(keywords, k)
		}
	}
	return keywords
}

// personOf returns a person that is an object, or a string "NAME <EMAIL> (URL)".
func personOf(manifest npm.Object, key string) Actor {
	raw, _ := manifest.Get(key)
	if o, err := npm.ParseObject(raw); err == nil {
		return Actor{Name: o.String("name"), Email: o.String("email")}
	}
	name, rest, _ := strings.Cut(manifest.String(key), "<")
	email, _, _ := strings.Cut(rest, ">")
	name, _, _ = strings.Cut(name, "(")
	return Actor{Name: strings.TrimSpace(name), Email: strings.TrimSpace(email)}
}

func lowerOf(people ...Actor) (words []string) {
	for _, a := range people {
		for _, s := range []string{a.Name, a.Email} {
			if s != "" {
				words = append(words, strings.ToLower(s))
			}
		}
	}
	return words
}
