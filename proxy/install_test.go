package proxy

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// TestChecklist22And23_OneFlight sends many cold requests at once: upstream
// hears of one, and those that hang up stop nobody else.
func TestChecklist22And23_OneFlight(t *testing.T) {
	const clients = 50
	tarball := noise(1 << 20)
	for _, path := range []string{"/lodash", "/lodash/-/lodash-1.0.0.tgz"} {
		t.Run(path, func(t *testing.T) {
			w := newWorld(t)
			w.up.publish("lodash", "1.0.0", tarball)
			w.up.mu.Lock()
			answer := w.up.handlers[path]
			w.up.mu.Unlock()
			asked, goOn := make(chan struct{}, clients), make(chan struct{})
			w.up.handle(path, func(rw http.ResponseWriter, r *http.Request) {
				asked <- struct{}{}
				<-goOn
				answer(rw, r)
			})

			ctx, hangUp := context.WithCancel(t.Context())
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.URL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			hungUp := make(chan error, 1)
			go func() {
				res, err := w.client.Do(r)
				if err == nil {
					res.Body.Close()
				}
				hungUp <- err
			}()
			<-asked
			hangUp()
			if err := <-hungUp; err == nil {
				t.Error("the impatient client got an answer")
			}

			var wg sync.WaitGroup
			answers := make([]string, clients)
			for i := range clients {
				wg.Go(func() {
					res, err := w.client.Get(w.URL + path)
					if err != nil {
						t.Error(err)
						return
					}
					defer res.Body.Close()
					body, err := io.ReadAll(res.Body)
					if err != nil || res.StatusCode != http.StatusOK {
						t.Errorf("status %d, error %v", res.StatusCode, err)
					}
					answers[i] = string(body)
				})
			}
			close(goOn)
			wg.Wait()
			for _, a := range answers {
				if a != answers[0] {
					t.Fatal("two clients got different bytes")
				}
			}
			if n := len(w.up.seen(path)); n != 1 {
				t.Errorf("%d requests reached upstream, want 1", n)
			}
		})
	}
}

func TestChecklist34_CaseMatters(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"JSONStream", "jsonstream", "constructor"} {
		w.up.publish(name, "1.0.0", []byte("bytes of "+name))
		if got := w.get("/"+name).want(t, 200).document(t).Name; got != name {
			t.Errorf("packument of %q for %q", got, name)
		}
	}
	for _, name := range []string{"JSONStream", "jsonstream", "constructor"} {
		if got := string(w.get("/"+name+"/-/"+name+"-1.0.0.tgz").want(t, 200).body); got != "bytes of "+name {
			t.Errorf("%s: got the %s", name, got)
		}
	}
}

func TestChecklist12_TarballsWithoutPackuments(t *testing.T) {
	w := newWorld(t)
	w.up.publish("@types/node", "20.1.0", noise(1000))
	w.get("/@types/node/-/node-20.1.0.tgz").want(t, 200)
	if n := len(w.up.seen("/@types/node")); n != 0 {
		t.Errorf("a frozen install asked for %d packuments", n)
	}
}

// legacy is a package as they were before 2014: no integrity, a file name that
// is not the conventional one, fields of types that nobody expects.
func legacy(up string, shasum string) string {
	return fmt.Sprintf(`{"name":"thirty-two","dist-tags":{"latest":"0.0.1"},"time":{"created":"2013-01-01T00:00:00.000Z","9.9.9":"2013-01-01T00:00:00.000Z","0.0.1":"2013-01-01T00:00:00.000Z"},`+
		`"versions":{"0.0.1":{"name":"thirty-two","version":"0.0.1","engines":["node >= 0.6"],"bin":"cli.js","deprecated":false,`+
		`"dist":{"shasum":%q,"tarball":"%s/thirty-two/-/thirty-two@0.0.1.tgz"}}}}`, shasum, up)
}

func TestChecklist37To39And41_LegacyPackage(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.PublicURL = "https://acme.example" })
	tarball := noise(1000)
	sum := sha1.Sum(tarball)
	doc := legacy(w.up.URL, hex.EncodeToString(sum[:]))
	w.up.serve("/thirty-two", doc)
	w.up.handle("/thirty-two/-/thirty-two@0.0.1.tgz", func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write(tarball) })

	want := strings.Replace(doc, w.up.URL+"/thirty-two/-/thirty-two@0.0.1.tgz", "https://acme.example/thirty-two/-/thirty-two-0.0.1.tgz", 1)
	if got := string(w.get("/thirty-two").want(t, 200).body); got != want {
		t.Errorf("body\n%s\nwant\n%s", got, want)
	}
	for _, file := range []string{"thirty-two-0.0.1.tgz", "thirty-two@0.0.1.tgz"} {
		if got := w.get("/thirty-two/-/"+file).want(t, 200).body; !bytes.Equal(got, tarball) {
			t.Errorf("%s: wrong bytes", file)
		}
	}
}
