package cache

import (
	"crypto/sha512"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestSidecarSurvivesItsFile(t *testing.T) {
	sum := sha512.Sum512([]byte("x"))
	labels := map[string]string{
		"plain":        "@types/node/node-20.1.0.tgz",
		"empty":        "",
		"long":         strings.Repeat("é", maxSidecar),
		"long escapes": strings.Repeat("\x00", maxSidecar),
		"not UTF-8":    "a\xffb",
	}
	for name, label := range labels {
		t.Run(name, func(t *testing.T) {
			store := NewMem()
			meta := newBlobMeta(1, sum[:], label)
			write := sidecars{store: store, recent: newLRU[BlobMeta](1)}
			if err := write.put(t.Context(), "00112233/a", meta); err != nil {
				t.Fatal(err)
			}
			read := sidecars{store: store, recent: newLRU[BlobMeta](1)}
			got, err := read.get(t.Context(), "00112233/a")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(meta, got); diff != "" {
				t.Errorf("(-written +read):\n%s", diff)
			}
			if !utf8.ValidString(got.Label) || len(got.Label) > maxLabel {
				t.Errorf("the label has %d bytes", len(got.Label))
			}
		})
	}
}

func TestETagDependsOnTheBytesAlone(t *testing.T) {
	one, other := sha512.Sum512([]byte("x")), sha512.Sum512([]byte("y"))
	if a, b := newBlobMeta(1, one[:], "a").ETag, newBlobMeta(2, one[:], "b").ETag; a != b {
		t.Errorf("the same bytes have ETags %s and %s", a, b)
	}
	if a, b := newBlobMeta(1, one[:], "a").ETag, newBlobMeta(1, other[:], "a").ETag; a == b {
		t.Errorf("different bytes have the ETag %s", a)
	}
}

func FuzzParseSidecar(f *testing.F) {
	sum := sha512.Sum512([]byte("x"))
	text, err := json.Marshal(newBlobMeta(1, sum[:], "left-pad/left-pad-1.0.0.tgz"))
	if err != nil {
		f.Fatal(err)
	}
	good := seal(sidecarSeal, text)
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add(append(good[:len(good):len(good)], 'x'))
	f.Add(text)
	f.Add(seal(sidecarSeal, []byte(`{}`)))
	f.Add(seal(sidecarSeal, []byte(strings.Replace(string(text), `"size":1`, `"size":-1`, 1))))
	f.Add(seal(sidecarSeal, []byte(strings.Replace(string(text), `"etag":"\"`, `"etag":"\"\r\n`, 1))))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseSidecar(data)
		if err != nil {
			if !errors.Is(err, errSidecar) {
				t.Errorf("error of another kind: %v", err)
			}
			return
		}
		if m.Size < 0 {
			t.Errorf("size %d", m.Size)
		}
		// It goes into a header as it is.
		if len(m.ETag) != 2+sha512.Size || strings.Trim(m.ETag, `"0123456789abcdef`) != "" {
			t.Errorf("ETag %q", m.ETag)
		}
	})
}
