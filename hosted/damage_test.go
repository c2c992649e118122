package hosted

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"larder/cache"
	"larder/metrics"
	"larder/npm"
)

// raw and overwrite go behind the back of Packages.
func raw(t *testing.T, s cache.Store, key string) []byte {
	t.Helper()
	o, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	data, err := io.ReadAll(o)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func overwrite(t *testing.T, s cache.Store, key string, data []byte) {
	t.Helper()
	w, err := s.Create(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Commit(cache.Precondition{}); err != nil {
		t.Fatal(err)
	}
}

// wantMetric fails unless the exposition has this line.
func wantMetric(t *testing.T, m *metrics.Metrics, line string) {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if !strings.Contains(w.Body.String(), "\n"+line+"\n") {
		t.Errorf("no metric %s", line)
	}
}

// blobKeyOf returns the key of a package's only tarball.
func blobKeyOf(t *testing.T, s cache.Store, name string) string {
	t.Helper()
	for _, file := range keys(t, s, name) {
		if strings.HasPrefix(file, "tgz-") {
			return owner(name) + "/" + file
		}
	}
	t.Fatal("no tarball")
	return ""
}

// inspect makes a pass over the store and returns how it ended.
func inspect(t *testing.T, p *Packages, s cache.Store, collect bool) cache.Cursor {
	t.Helper()
	pass := cache.NewPass(cache.PassConfig{
		Store: s, Look: p.Inspector("scrub", collect).Look, Name: "hosted",
		Cursor: filepath.Join(t.TempDir(), "cursor"), Pace: cache.NewPace(0),
	})
	if err := pass.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return pass.Cursor()
}

var damagesOfBytes = map[string]func([]byte) []byte{
	"first bit": func(d []byte) []byte { d = bytes.Clone(d); d[0] ^= 1; return d },
	"last bit":  func(d []byte) []byte { d = bytes.Clone(d); d[len(d)-1] ^= 1; return d },
	"zeroed":    func(d []byte) []byte { return make([]byte, len(d)) },
	"cut":       func(d []byte) []byte { return d[:len(d)/2] },
	"emptied":   func([]byte) []byte { return nil },
}

// A damaged tarball is not served and not touched; the alarm ends when it is
// right again.
func TestADamagedTarball(t *testing.T) {
	for name, damage := range damagesOfBytes {
		for _, by := range []string{"read", "scrub"} {
			t.Run(name+" found by "+by, func(t *testing.T) {
				stores(t, func(t *testing.T, s cache.Store) {
					publish(t, newPackages(t, Config{Store: s}), pkg{name: "lib", version: "1.0.0"})
					key := blobKeyOf(t, s, "lib")
					good := raw(t, s, key)
					bad := damage(good)
					overwrite(t, s, key, bad)

					now := newClock()
					m := metrics.New("1", "a")
					p := newPackages(t, Config{Store: s, Now: now.Now, Metrics: m}) // a new start
					if by == "scrub" {
						if c := inspect(t, p, s, true); c.Rotten != 1 || c.Unread != 0 {
							t.Errorf("%+v", c)
						}
					}
					for range 2 {
						_, err := p.Tarball(t.Context(), "lib", "lib-1.0.0.tgz")
						wantError(t, err, npm.Unavailable, "damaged on this server's disk")
					}
					if err := p.Alarm(); err == nil || !strings.Contains(err.Error(), "restore it from a backup") {
						t.Errorf("alarm: %v", err)
					}
					wantMetric(t, m, "larder_hosted_damaged_files 1")
					wantMetric(t, m, `larder_rotten_files_total{store="hosted",where="`+by+`"} 1`)
					if got := raw(t, s, key); !bytes.Equal(got, bad) {
						t.Error("the damaged tarball was touched")
					}

					overwrite(t, s, key, good)
					if by == "scrub" {
						p.lookAgain(t.Context())
					} else {
						wantWhole(t, p, "lib")
					}
					if err := p.Alarm(); err != nil {
						t.Errorf("alarm of what is right again: %v", err)
					}
					wantMetric(t, m, "larder_hosted_damaged_files 0")
					wantWhole(t, p, "lib")
				})
			})
		}
	}
}

func TestADamagedDocument(t *testing.T) {
	for name, damage := range damagesOfBytes {
		t.Run(name, func(t *testing.T) {
			stores(t, func(t *testing.T, s cache.Store) {
				publish(t, newPackages(t, Config{Store: s}), pkg{name: "lib", version: "1.0.0"})
				good := raw(t, s, documentKey("lib"))
				overwrite(t, s, documentKey("lib"), damage(good))
				p := newPackages(t, Config{Store: s})
				if c := inspect(t, p, s, true); c.Rotten != 1 {
					t.Errorf("%+v", c)
				}
				if p.Alarm() == nil {
					t.Error("no alarm")
				}
				if n := blobs(t, s, "lib"); n != 1 {
					t.Errorf("%d tarballs are left of a package whose document cannot be read", n)
				}
				overwrite(t, s, documentKey("lib"), good)
				p.lookAgain(t.Context())
				if err := p.Alarm(); err != nil {
					t.Errorf("alarm of what is right again: %v", err)
				}
				overwrite(t, s, documentKey("lib"), damage(good))
				_, err := p.Get(t.Context(), "lib")
				wantError(t, err, npm.Unavailable, "cannot be read")
				if p.Alarm() == nil {
					t.Error("no alarm after a read")
				}
			})
		})
	}
}

// Any byte of a document may change: it is noticed.
func TestAnyByteOfADocument(t *testing.T) {
	s := cache.NewMem()
	publish(t, newPackages(t, Config{Store: s}), pkg{name: "lib", version: "1.0.0", manifest: map[string]any{"description": "of many letters"}})
	good := raw(t, s, documentKey("lib"))
	if _, err := decodeDocument(good); err != nil {
		t.Fatal(err)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		if _, err := decodeDocument(bad); !isDamage(err) {
			t.Errorf("with another byte %d it is %v: …%q…", i, err, bad[max(0, i-20):min(len(bad), i+20)])
		}
		if _, err := decodeDocument(good[:i]); !isDamage(err) && i < len(good)-len(checksumLine) {
			t.Errorf("its first %d bytes of %d are %v", i, len(good), err)
		}
	}
}

func TestALostTarball(t *testing.T) {
	stores(t, func(t *testing.T, s cache.Store) {
		p := newPackages(t, Config{Store: s})
		publish(t, p, pkg{name: "lib", version: "1.0.0"})
		key := blobKeyOf(t, s, "lib")
		good := raw(t, s, key)
		for _, by := range []string{"read", "scrub"} {
			if err := s.Delete(t.Context(), key, cache.Precondition{}); err != nil {
				t.Fatal(err)
			}
			if by == "read" {
				_, err := p.Tarball(t.Context(), "lib", "lib-1.0.0.tgz")
				wantError(t, err, npm.Unavailable, "missing")
			} else if c := inspect(t, p, s, true); c.Rotten != 1 {
				t.Errorf("%+v", c)
			}
			if p.Alarm() == nil {
				t.Errorf("found by %s: no alarm", by)
			}
			overwrite(t, s, key, good)
			p.lookAgain(t.Context())
			if err := p.Alarm(); err != nil {
				t.Error(err)
			}
		}
		// A version that is taken away needs no tarball.
		if err := s.Delete(t.Context(), key, cache.Precondition{}); err != nil {
			t.Fatal(err)
		}
		inspect(t, p, s, true)
		if _, err := p.Unpublish(t.Context(), "lib", "", alice); err != nil {
			t.Fatal(err)
		}
		p.lookAgain(t.Context())
		if err := p.Alarm(); err != nil {
			t.Errorf("alarm of a version that is gone: %v", err)
		}
	})
}

// Who restores them from a backup needs to know of all of them.
func TestAllLostTarballsAreFound(t *testing.T) {
	stores(t, func(t *testing.T, s cache.Store) {
		p := newPackages(t, Config{Store: s})
		for _, version := range []string{"1.0.0", "1.1.0", "1.2.0"} {
			publish(t, p, pkg{name: "lib", version: version})
		}
		for _, file := range keys(t, s, "lib") {
			if !strings.HasPrefix(file, "tgz-") {
				continue
			}
			if err := s.Delete(t.Context(), owner("lib")+"/"+file, cache.Precondition{}); err != nil {
				t.Fatal(err)
			}
		}
		inspect(t, p, s, true)
		if n := len(p.damages.keys()); n != 3 {
			t.Errorf("%d of 3 are known", n)
		}
	})
}

// What a crash left goes when it is a day old; what a version names, and what
// may yet be named, stays.
func TestOrphans(t *testing.T) {
	tests := map[string]struct {
		age     time.Duration
		prepare func(t *testing.T, p *Packages, s cache.Store)
		collect bool
		want    int
	}{
		"named":                 {48 * time.Hour, func(*testing.T, *Packages, cache.Store) {}, true, 1},
		"left by a crash":       {48 * time.Hour, leaveOrphan, true, 1},
		"left just now":         {time.Hour, leaveOrphan, true, 2},
		"left, another process": {48 * time.Hour, leaveOrphan, false, 2},
		"no document at all": {48 * time.Hour, func(t *testing.T, p *Packages, s cache.Store) {
			if err := s.Delete(t.Context(), documentKey("lib"), cache.Precondition{}); err != nil {
				t.Fatal(err)
			}
		}, true, 1},
		"a damaged document": {48 * time.Hour, func(t *testing.T, p *Packages, s cache.Store) {
			leaveOrphan(t, p, s)
			overwrite(t, s, documentKey("lib"), []byte("{"))
		}, true, 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			stores(t, func(t *testing.T, s cache.Store) {
				publish(t, newPackages(t, Config{Store: s}), pkg{name: "lib", version: "1.0.0"})
				m := metrics.New("1", "a")
				p := newPackages(t, Config{Store: s, Metrics: m, Now: func() time.Time { return time.Now().Add(tt.age) }})
				tt.prepare(t, p, s)
				before := blobs(t, s, "lib")
				inspect(t, p, s, tt.collect)
				if n := blobs(t, s, "lib"); n != tt.want {
					t.Errorf("%d tarballs are left of %d, want %d", n, before, tt.want)
				}
				if before != tt.want {
					wantMetric(t, m, "larder_hosted_orphan_blobs_total 1")
				}
			})
		})
	}
}

func leaveOrphan(t *testing.T, _ *Packages, s cache.Store) {
	t.Helper()
	overwrite(t, s, owner("lib")+"/tgz-"+strings.Repeat("0a", blobHash/2), []byte("half a publish"))
}

// A version that is published after the scrub has read the document keeps its
// tarball: the document is read again under the package's lock.
func TestOrphansAreLookedForInThePresentDocument(t *testing.T) {
	stores(t, func(t *testing.T, s cache.Store) {
		p := newPackages(t, Config{Store: s, Now: func() time.Time { return time.Now().Add(48 * time.Hour) }})
		publish(t, p, pkg{name: "lib", version: "1.0.0"})
		i := p.Inspector("scrub", true)
		if err := i.Look(t.Context(), s, cache.Info{Key: documentKey("lib")}); err != nil {
			t.Fatal(err)
		}
		publish(t, p, pkg{name: "lib", version: "1.1.0"})
		err := s.Walk(t.Context(), owner("lib")+"/", func(o cache.Info) error {
			if strings.HasSuffix(o.Key, documentFile) {
				return nil // it is not read again
			}
			return i.Look(t.Context(), s, o)
		})
		if err != nil {
			t.Fatal(err)
		}
		wantWhole(t, p, "lib")
	})
}

// A publish that goes on while the scrub collects keeps its tarball, however
// old the scrub takes it for.
func TestOrphansAreNotTakenFromAPublish(t *testing.T) {
	s := cache.NewMem()
	p := newPackages(t, Config{Store: s, Now: func() time.Time { return time.Now().Add(48 * time.Hour) }})
	ctx, stop := context.WithCancel(t.Context())
	var scrub sync.WaitGroup
	scrub.Go(func() {
		for ctx.Err() == nil {
			err := s.Walk(ctx, "", func(o cache.Info) error { return p.Inspector("scrub", true).Look(ctx, s, o) })
			if err != nil && ctx.Err() == nil && !errors.Is(err, errReplaced) {
				t.Logf("look: %v", err)
			}
		}
	})
	for _, name := range []string{"a", "b", "c"} {
		publishAll(t, p, name, "1.0.0", "1.1.0", "1.2.0", "2.0.0", "3.0.0")
	}
	stop()
	scrub.Wait()
	for _, name := range []string{"a", "b", "c"} {
		wantWhole(t, p, name)
	}
}
