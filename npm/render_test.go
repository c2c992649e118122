package npm

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/tidwall/gjson"
)

const testBase = "https://npm.acme.example/npm"

// TestRenderDocuments compares whole documents byte for byte. An archive holds
// upstream's, full or abbreviated, and each form that can be made of it.
func TestRenderDocuments(t *testing.T) {
	archives, err := filepath.Glob("testdata/render/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	for _, archive := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(archive), ".txtar"), func(t *testing.T) {
			files := readArchive(t, archive)
			doc, from := files["upstream.json"], Full
			if doc == "" {
				doc, from = files["upstream.abbreviated.json"], Abbreviated
			}
			for form, name := range map[Form]string{Full: "full.json", Abbreviated: "abbreviated.json"} {
				want, ok := files[name]
				if !ok {
					continue
				}
				got := render(t, doc, from, form)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", form, diff)
				}
				if again := render(t, got, form, form); again != got {
					t.Errorf("%s rendered again (-once +twice):\n%s", form, cmp.Diff(got, again))
				}
			}
		})
	}
}

func readArchive(t *testing.T, path string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range txtar.Parse(data).Files {
		files[f.Name] = strings.TrimSuffix(string(f.Data), "\n")
	}
	return files
}

// render renders what Inspect lets pass, for a client of testBase.
func render(t *testing.T, doc string, from, to Form) string {
	t.Helper()
	name := gjson.Get(doc, "name").Str
	if _, err := Inspect([]byte(doc), name); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Render(&out, []byte(doc), from, Target{Name: name, Base: testBase, Form: to}); err != nil {
		t.Fatal(err)
	}
	if !gjson.ValidBytes(out.Bytes()) {
		t.Fatalf("not JSON: %s", out.Bytes())
	}
	return out.String()
}

func TestRender(t *testing.T) {
	const tarball = `"` + testBase + `/lib/-/lib-1.0.0.tgz"`
	tests := []struct {
		name              string
		doc               string
		full, abbreviated string
	}{
		{
			name:        "no versions member",
			doc:         `{"name":"lib","time":{"modified":"m","unpublished":{"time":"u","versions":["1.0.0"]}}}`,
			full:        `{"name":"lib","time":{"modified":"m","unpublished":{"time":"u","versions":["1.0.0"]}}}`,
			abbreviated: `{"name":"lib","modified":"m","time":{"modified":"m","unpublished":{"time":"u","versions":["1.0.0"]}}}`,
		},
		{
			name:        "versions and dist-tags null",
			doc:         `{"name":"lib","dist-tags":null,"versions":null,"time":null}`,
			full:        `{"name":"lib","dist-tags":null,"versions":null,"time":null}`,
			abbreviated: `{"name":"lib","dist-tags":null,"versions":null,"time":null}`,
		},
		{
			name:        "no versions in it, and tags that cannot name one",
			doc:         `{"name":"lib","dist-tags":{"latest":"1.0.0"},"versions":{},"modified":"m"}`,
			full:        `{"name":"lib","dist-tags":{},"versions":{},"modified":"m"}`,
			abbreviated: `{"name":"lib","modified":"m","dist-tags":{},"versions":{}}`,
		},
		{
			name:        "time missing, modified at the top",
			doc:         `{"name":"lib","versions":{"1.0.0":{},"1.1.0":{}},"modified":"m" }`,
			full:        `{"name":"lib","versions":{"1.0.0":{},"1.1.0":{}},"modified":"m","time":{"modified":"m","1.0.0":"m","1.1.0":"m"} }`,
			abbreviated: `{"name":"lib","modified":"m","versions":{"1.0.0":{},"1.1.0":{}}}`,
		},
		{
			name:        "time null, modified at the top",
			doc:         `{"time":null,"name":"lib","versions":{"1.0.0":{}},"modified":"m"}`,
			full:        `{"time":{"modified":"m","1.0.0":"m"},"name":"lib","versions":{"1.0.0":{}},"modified":"m"}`,
			abbreviated: `{"name":"lib","modified":"m","versions":{"1.0.0":{}},"time":{"modified":"m","1.0.0":"m"}}`,
		},
		{
			name:        "time empty, modified at the top",
			doc:         `{"time":{ },"name":"lib","versions":{"1.0.0":{}},"modified":"m"}`,
			full:        `{"time":{"1.0.0":"m" },"name":"lib","versions":{"1.0.0":{}},"modified":"m"}`,
			abbreviated: `{"name":"lib","modified":"m","versions":{"1.0.0":{}},"time":{"1.0.0":"m" }}`,
		},
		{
			name:        "time of another type",
			doc:         `{"time":"now","name":"lib","versions":{"1.0.0":{}},"modified":"m"}`,
			full:        `{"time":"now","name":"lib","versions":{"1.0.0":{}},"modified":"m"}`,
			abbreviated: `{"name":"lib","modified":"m","versions":{"1.0.0":{}},"time":"now"}`,
		},
		{
			name:        "modified nowhere",
			doc:         `{"name":"lib","versions":{"1.0.0":{}},"modified":"","time":{"modified":7}}`,
			full:        `{"name":"lib","versions":{"1.0.0":{}},"modified":"","time":{"modified":7}}`,
			abbreviated: `{"name":"lib","versions":{"1.0.0":{}},"time":{"modified":7}}`,
		},
		{
			name:        "a key that is no version and JSON must escape gets no time",
			doc:         `{"name":"lib","versions":{"a\nb\"":{"dist":{"tarball":"x"}}},"time":{"modified":"m"}}`,
			full:        `{"name":"lib","versions":{"a\nb\"":{"dist":{"tarball":"` + testBase + `/lib/-/lib-a%0Ab%22.tgz"}}},"time":{"modified":"m"}}`,
			abbreviated: `{"name":"lib","modified":"m","versions":{"a\nb\"":{"dist":{"tarball":"` + testBase + `/lib/-/lib-a%0Ab%22.tgz"}}},"time":{"modified":"m"}}`,
		},
		{
			name:        "escaped keys",
			doc:         `{"n\u0061me":"lib","v\u0065rsions":{"1.0.0":{"di\u0073t":{"t\u0061rball":"x"}}}}`,
			full:        `{"n\u0061me":"lib","v\u0065rsions":{"1.0.0":{"di\u0073t":{"t\u0061rball":` + tarball + `}}}}`,
			abbreviated: `{"name":"lib","versions":{"1.0.0":{"di\u0073t":{"t\u0061rball":` + tarball + `}}}}`,
		},
		{
			name:        "keys that occur twice",
			doc:         `{"name":"x","versions":{"0.1.0":{"dist":{"tarball":"x"}}},"dist-tags":{"latest":"0.1.0"},"versions":{"1.0.0":{"dist":{"tarball":"x","tarball":"y"},"dist":{"tarball":"z"}}},"name":"lib"}`,
			full:        `{"name":"x","versions":{"0.1.0":{"dist":{"tarball":"` + testBase + `/lib/-/lib-0.1.0.tgz"}}},"dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"dist":{"tarball":` + tarball + `,"tarball":` + tarball + `},"dist":{"tarball":` + tarball + `}}},"name":"lib"}`,
			abbreviated: `{"name":"lib","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"dist":{"tarball":` + tarball + `,"tarball":` + tarball + `},"dist":{"tarball":` + tarball + `}}}}`,
		},
		{
			name:        "tarballs outside of dist are none of ours",
			doc:         `{"name":"lib","dist":{"tarball":"a"},"tarball":"b","versions":{"1.0.0":{"tarball":"c","config":{"dist":{"tarball":"d"}}}}}`,
			full:        `{"name":"lib","dist":{"tarball":"a"},"tarball":"b","versions":{"1.0.0":{"tarball":"c","config":{"dist":{"tarball":"d"}}}}}`,
			abbreviated: `{"name":"lib","versions":{"1.0.0":{}}}`,
		},
		{
			name:        "bundledDependencies beside its proper name",
			doc:         `{"name":"lib","versions":{"1.0.0":{"bundledDependencies":["a"],"bundleDependencies":["b"]}}}`,
			full:        `{"name":"lib","versions":{"1.0.0":{"bundledDependencies":["a"],"bundleDependencies":["b"]}}}`,
			abbreviated: `{"name":"lib","versions":{"1.0.0":{"bundleDependencies":["b"]}}}`,
		},
		{
			name:        "white space around everything",
			doc:         " { \"name\" : \"lib\" , \"versions\" : { \"1.0.0\" : { \"os\" : [ ] , \"x\" : 1 } } }\n",
			full:        " { \"name\" : \"lib\" , \"versions\" : { \"1.0.0\" : { \"os\" : [ ] , \"x\" : 1 } } }\n",
			abbreviated: `{"name":"lib","versions":{"1.0.0" : {"os" : [ ]}}}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for form, want := range map[Form]string{Full: tt.full, Abbreviated: tt.abbreviated} {
				var out bytes.Buffer
				if _, err := Inspect([]byte(tt.doc), "lib"); err != nil {
					t.Fatal(err)
				}
				if err := Render(&out, []byte(tt.doc), Full, Target{Name: "lib", Base: testBase, Form: form}); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, out.String()); diff != "" {
					t.Errorf("%s (-want +got):\n%s", form, diff)
				}
			}
		})
	}
}

// A document named by "_id" alone is valid; npm's audit wants "name".
func TestAbbreviateNamesTheDocument(t *testing.T) {
	doc := []byte(`{"_id":"@acme/lib","versions":{}}`)
	if _, err := Inspect(doc, "@acme/lib"); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Render(&out, doc, Full, Target{Name: "@acme/lib", Base: testBase, Form: Abbreviated}); err != nil {
		t.Fatal(err)
	}
	if want := `{"name":"@acme/lib","versions":{}}`; out.String() != want {
		t.Errorf("got %s, want %s", out.String(), want)
	}
}

func TestRenderReportsWriteErrors(t *testing.T) {
	want := errors.New("the client is gone")
	err := Render(failingWriter{want}, []byte(`{"name":"lib","versions":{}}`), Full, Target{Name: "lib", Base: testBase})
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

func TestRenderRefusesWhatIsNoDocument(t *testing.T) {
	for _, doc := range []string{"", "null", "[]", `{"name":`, `{"versions":[]}`} {
		var out bytes.Buffer
		if err := Render(&out, []byte(doc), Full, Target{Name: "lib", Base: testBase}); err == nil {
			t.Errorf("%q: rendered as %q", doc, out.String())
		} else if out.Len() > 0 {
			t.Errorf("%q: wrote %q before the error", doc, out.String())
		}
	}
}

// TestRenderStreams holds Render to its bound on memory and to a number of
// writes that a compressor behind it does not notice.
func TestRenderStreams(t *testing.T) {
	doc := bigPackument(10 << 20)
	for _, form := range []Form{Full, Abbreviated} {
		target := benchTarget
		target.Form = form
		var w countingWriter
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := Render(&w, doc, Full, target); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if got, bound := after.TotalAlloc-before.TotalAlloc, uint64(1<<20); got > bound {
			t.Errorf("%s: allocated %d bytes in all, want at most %d", form, got, bound)
		}
		if got, bound := w.writes, w.bytes/spliceBuffer+2; got > bound {
			t.Errorf("%s: %d bytes in %d writes, want at most %d", form, w.bytes, got, bound)
		}
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

type countingWriter struct{ writes, bytes int }

func (w *countingWriter) Write(p []byte) (int, error) {
	w.writes++
	w.bytes += len(p)
	return len(p), nil
}
