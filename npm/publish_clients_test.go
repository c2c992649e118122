package npm

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// testdata/put has what the clients of test/.clients sent when they published
// one and the same package: {"name":"@acme/pp","version":"1.0.0",…}, with a
// README and "bin":"./i.js".
func TestPublishesOfRealClients(t *testing.T) {
	files, err := filepath.Glob("testdata/put/*.json")
	if err != nil || len(files) != 6 {
		t.Fatalf("files %v, %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			body, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			put, tarball, err := readPut(bytes.NewReader(body), roomy)
			if err != nil {
				t.Fatal(err)
			}
			if kind := put.Kind(false); kind != PutPublish {
				t.Errorf("kind %d", kind)
			}
			p, err := ParsePublish(put, "@acme/pp")
			if err != nil {
				t.Fatal(err)
			}
			checkPublication(t, p)
			v := p.Integrity.Verifier()
			v.Write(tarball)
			if err := v.Verify(); err != nil {
				t.Error(err)
			}
			info, err := InspectTarball(bytes.NewReader(tarball))
			if err != nil {
				t.Fatal(err)
			}
			if !info.Describes("@acme/pp", "1.0.0") || info.Files < 3 {
				t.Errorf("the tarball is %+v", info)
			}
			if !p.HasInstallScript(info) {
				t.Error("the install script is not seen")
			}
		})
	}
}

func checkPublication(t *testing.T, p *Publication) {
	t.Helper()
	if p.Version != "1.0.0" || len(p.Tags) != 1 || p.Tags[0] != "latest" || p.Readme != "# R <b>&\n" {
		t.Errorf("got %+v", p)
	}
	if bin, _ := p.Manifest.Get("bin"); string(bin) != `{"pp":"i.js"}` {
		t.Errorf(`"bin" is %s`, bin)
	}
	for _, key := range []string{"readme", "_resolved", "_from", "_integrity", "integrity", "shasum"} {
		if value, ok := p.Manifest.Get(key); ok {
			t.Errorf("%s is still there: %s", key, value)
		}
	}
}
