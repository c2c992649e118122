package hosted

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"larder/cache"
	"larder/npm"
)

const publishers = 32

// atOnce calls fn for each publisher, all at the same time, and returns their errors.
func atOnce(fn func(i int) error) []error {
	errs := make([]error, publishers)
	begin := make(chan struct{})
	var all sync.WaitGroup
	for i := range publishers {
		all.Go(func() {
			<-begin
			errs[i] = fn(i)
		})
	}
	close(begin)
	all.Wait()
	return errs
}

func TestPublishersOfDistinctVersions(t *testing.T) {
	stores(t, func(t *testing.T, s cache.Store) {
		// Two processes on one store.
		both := []*Packages{newPackages(t, Config{Store: s}), newPackages(t, Config{Store: s})}
		if _, dir := s.(*cache.Dir); dir {
			both[1] = both[0] // a Dir has one process at a time
		}
		errs := atOnce(func(i int) error {
			_, err := send(t.Context(), t, both[i%2], pkg{name: "lib", version: fmt.Sprintf("1.0.%d", i)}, alice)
			return err
		})
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		if got := len(get(t, both[0], "lib").Versions()); got != publishers {
			t.Errorf("%d versions are there", got)
		}
		wantWhole(t, both[1], "lib")
	})
}

func TestPublishersOfOneVersion(t *testing.T) {
	for name, text := range map[string]func(i int) string{
		"other bytes": func(i int) string { return fmt.Sprint(i) },
		"same bytes":  func(int) string { return "" },
	} {
		t.Run(name, func(t *testing.T) {
			stores(t, func(t *testing.T, s cache.Store) {
				p := newPackages(t, Config{Store: s})
				errs := atOnce(func(i int) error {
					by := Actor{Name: fmt.Sprintf("user-%d", i)}
					_, err := send(t.Context(), t, p, pkg{name: "lib", version: "1.0.0", text: text(i)}, by)
					return err
				})
				succeeded := 0
				for _, err := range errs {
					if err == nil {
						succeeded++
						continue
					}
					wantError(t, err, npm.Forbidden, "You cannot publish over the previously published versions: 1.0.0.")
				}
				if n := blobs(t, s, "lib"); succeeded != 1 || n != 1 {
					t.Errorf("%d succeeded, %d blobs", succeeded, n)
				}
				wantWhole(t, p, "lib")
			})
		})
	}
}

func TestMixedWriters(t *testing.T) {
	p := newPackages(t, Config{Store: openDir(t)})
	publishAll(t, p, "lib", "1.0.0")
	errs := atOnce(func(i int) error {
		var err error
		switch i % 4 {
		case 0:
			_, err = send(t.Context(), t, p, pkg{name: "lib", version: fmt.Sprintf("2.0.%d", i), tags: []string{"next"}}, alice)
		case 1:
			_, err = p.SetTag(t.Context(), "lib", fmt.Sprintf("tag-%d", i), "1.0.0", alice)
		case 2:
			_, err = p.SetStar(t.Context(), "lib", fmt.Sprintf("user-%d", i), true)
		case 3:
			_, err = p.Search(t.Context(), Query{Text: "lib"})
		}
		return err
	})
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	k := get(t, p, "lib")
	if len(k.Versions()) != 9 || len(k.DistTags()) != 10 || len(k.Stars()) != 8 {
		t.Errorf("%v %v %v", k.Versions(), k.DistTags(), k.Stars())
	}
	// And the index has followed to the last of them.
	for i := 2; i < publishers; i += 4 {
		wantStarred(t, p, fmt.Sprintf("user-%d", i), "lib")
	}
}

// TestOvertaken plays another process that is always faster, for a while or
// for ever.
func TestOvertaken(t *testing.T) {
	tests := []struct {
		name  string
		times int
		ok    bool
	}{
		{"once", 1, true}, {"until the last try", maxTries - 1, true}, {"for ever", maxTries, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				mem := cache.NewMem()
				s := newBrittle(mem)
				p, other := newPackages(t, Config{Store: s}), newPackages(t, Config{Store: mem})
				publishAll(t, other, "lib", "1.0.0")
				n := 0
				s.breaks(func(op, key string) error {
					if op == "commit" && key == documentKey("lib") && n < tt.times {
						n++
						_, err := other.SetStar(t.Context(), "lib", fmt.Sprint(n), true)
						return errors.Join(err) // what p wrote is out of date now
					}
					return nil
				})
				_, err := send(t.Context(), t, p, pkg{name: "lib", version: "2.0.0"}, alice)
				if !tt.ok {
					wantError(t, err, npm.Conflict, "Document update conflict.")
				} else if err != nil {
					t.Fatal(err)
				}
				k := get(t, p, "lib")
				if len(k.Stars()) != tt.times || (len(k.Versions()) == 2) != tt.ok {
					t.Errorf("%d stars, versions %v", len(k.Stars()), k.Versions())
				}
			})
		})
	}
}

// A version that another process publishes between our look and our commit is
// not published over.
func TestOvertakenByTheSameVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := cache.NewMem()
		s := newBrittle(mem)
		p, other := newPackages(t, Config{Store: s}), newPackages(t, Config{Store: mem})
		s.breaks(func(op, key string) error {
			if op == "commit" && key == documentKey("lib") {
				s.breaks(nil)
				publish(t, other, pkg{name: "lib", version: "1.0.0", text: "other"})
			}
			return nil
		})
		_, err := send(t.Context(), t, p, pkg{name: "lib", version: "1.0.0"}, bob)
		wantError(t, err, npm.Forbidden, "You cannot publish over the previously published versions: 1.0.0.")
		wantWhole(t, p, "lib")
		if got := at(packument(t, p, "lib"), "versions", "1.0.0", "_npmUser", "name"); got != "alice" {
			t.Errorf("published by %v", got)
		}
	})
}

func TestWaitingWriterGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPackages(t, Config{})
		publishAll(t, p, "lib", "1.0.0")
		unlock, err := p.writing.lock(t.Context(), owner("lib"))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := p.SetStar(ctx, "lib", "bob", true); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error is %v", err)
		}
		if _, err := p.SetStar(t.Context(), "other", "bob", true); npm.KindOf(err) != npm.NotFound {
			t.Errorf("another package waits, too: %v", err)
		}
		unlock()
		if _, err := p.SetStar(t.Context(), "lib", "bob", true); err != nil {
			t.Error(err)
		}
		if n := len(p.writing.held); n != 0 {
			t.Errorf("%d locks are left", n)
		}
	})
}
