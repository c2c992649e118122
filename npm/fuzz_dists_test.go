package npm

import "testing"

// FuzzDists: what is remembered of a document for its tarballs is what the
// document says of them.
func FuzzDists(f *testing.F) {
	hash := sha512Of("lib")
	dist := func(tarball string) string {
		return `{"dist":{"integrity":"` + hash + `","tarball":"` + tarball + `"}}`
	}
	for _, versions := range []string{
		`"1.0.0":` + dist("https://r.example/lib/-/lib-1.0.0.tgz"),
		`"1.0.0":` + dist("https://r.example/lib/-/lib-1.0.0.tgz") + `,"1.0.1":` + dist("https://other.example/lib/-/lib-1.0.1.tgz"),
		`"1.0.0":` + dist(`https:\/\/r.example\/lib\/-\/lib-1.0.0.tgz`) + `,"1.0.0":{}`,
		`"1.0.0":` + dist("x") + `,"1.0.0":` + dist("https://r.example/lib/-/lib-1.0.0.tgz"),
		`"1.0.0":{"dist":null,"dist":{}},"1.0.0":{"dist":{"shasum":"` + sha1Empty + `"}}`,
		`"1.0.0\u002bb":` + dist("https://r.example/lib/-/lib-1.0.0+b.tgz"),
	} {
		f.Add(`{"name":"lib","versions":{`+versions+`}}`, "1.0.0")
		f.Add(`{"versions":{`+versions+`},"name":"lib","versions":{`+versions+`}}`, "1.0.0+b")
	}
	f.Fuzz(func(t *testing.T, text, version string) {
		doc := []byte(text)
		s, err := Inspect(doc, "lib")
		if err != nil {
			return
		}
		d := s.Dists(doc, "lib")
		for _, v := range append([]string{version}, names(VersionNames(doc))...) {
			file := TarballFile("lib", v)
			got, ok := d.Find(file)
			if !ok {
				continue
			}
			want, listed := FindDist(doc, "lib", file)
			if !listed || got.Version != want.Version || got.Tarball != want.Tarball || got.Integrity.String() != want.Integrity.String() {
				t.Errorf("%q is remembered as %+v; the document has %+v, %t", file, got, want, listed)
			}
		}
	})
}

func names(all [][]byte) []string {
	var list []string
	for _, n := range all {
		list = append(list, string(n))
	}
	return list
}
