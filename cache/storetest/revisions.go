package storetest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"larder/cache"
)

// A state is what a precondition is tried against.
type state struct {
	name    string
	prepare func(t *testing.T, s cache.Store) (present, earlier string) // revisions
	exists  bool
}

func states() []state {
	return []state{
		{"never written", func(*testing.T, cache.Store) (string, string) { return "none", "none" }, false},
		{"deleted", func(t *testing.T, s cache.Store) (string, string) {
			rev := put(t, s, key, "deleted")
			if err := s.Delete(t.Context(), key, cache.Precondition{}); err != nil {
				t.Fatal(err)
			}
			return rev, rev
		}, false},
		{"written", func(t *testing.T, s cache.Store) (string, string) {
			return put(t, s, key, "state"), "none"
		}, true},
		{"written twice", func(t *testing.T, s cache.Store) (string, string) {
			earlier := put(t, s, key, "state")
			return put(t, s, key, "state"), earlier
		}, true},
		{"deleted and written again", func(t *testing.T, s cache.Store) (string, string) {
			earlier := put(t, s, key, "state")
			if err := s.Delete(t.Context(), key, cache.Precondition{}); err != nil {
				t.Fatal(err)
			}
			return put(t, s, key, "state"), earlier
		}, true},
	}
}

// eachPrecondition runs try in every state with every precondition, and says
// whether the precondition holds.
func eachPrecondition(t *testing.T, s cache.Store, try func(t *testing.T, st state, p cache.Precondition, holds bool)) {
	for _, st := range states() {
		for _, c := range []struct {
			name  string
			make  func(present, earlier string) cache.Precondition
			holds bool
		}{
			{"nothing", func(string, string) cache.Precondition { return cache.Precondition{} }, true},
			{"IfAbsent", func(string, string) cache.Precondition { return cache.IfAbsent() }, !st.exists},
			{"IfRev of the present", func(present, _ string) cache.Precondition { return cache.IfRev(present) }, st.exists},
			{"IfRev of an earlier one", func(_, earlier string) cache.Precondition { return cache.IfRev(earlier) }, false},
			{"IfRev of nothing", func(string, string) cache.Precondition { return cache.IfRev("") }, false},
		} {
			t.Run(st.name+", "+c.name, func(t *testing.T) {
				if err := s.Delete(t.Context(), key, cache.Precondition{}); err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Fatal(err)
				}
				try(t, st, c.make(st.prepare(t, s)), c.holds)
			})
		}
	}
}

func commitPreconditions(t *testing.T, s cache.Store) {
	eachPrecondition(t, s, func(t *testing.T, st state, p cache.Precondition, holds bool) {
		_, err := commit(t, s, key, "changed", p)
		if !holds {
			wantErr(t, "Commit", err, cache.ErrPrecondition)
			want(t, s, key, map[bool]string{true: "state"}[st.exists])
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		want(t, s, key, "changed")
	})
}

func deletePreconditions(t *testing.T, s cache.Store) {
	eachPrecondition(t, s, func(t *testing.T, st state, p cache.Precondition, holds bool) {
		err := s.Delete(t.Context(), key, p)
		switch {
		case !st.exists:
			wantErr(t, "Delete", err, fs.ErrNotExist)
		case !holds:
			wantErr(t, "Delete", err, cache.ErrPrecondition)
			want(t, s, key, "state")
		case err != nil:
			t.Fatal(err)
		default:
			want(t, s, key, "")
		}
	})
}

func failedPrecondition(t *testing.T, s cache.Store) {
	rev := put(t, s, key, "kept")
	_, err := commit(t, s, key, "lost", cache.IfAbsent())
	wantErr(t, "Commit", err, cache.ErrPrecondition)
	wantErr(t, "Delete", s.Delete(t.Context(), key, cache.IfAbsent()), cache.ErrPrecondition)
	if got := get(t, s, key).Rev; got != rev {
		t.Errorf("revision is %s, was %s", got, rev)
	}
	if _, err := commit(t, s, key, "next", cache.IfRev(rev)); err != nil {
		t.Errorf("the revision does not serve any more: %v", err)
	}
}

// racers is how many goroutines race.
const racers = 8

// race runs fn in many goroutines that start as one, and waits for them.
func race(fn func(n int)) {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for n := range racers {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-start
			fn(n)
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
}

func racingAbsent(t *testing.T, s cache.Store) {
	for round := range 5 {
		key := fmt.Sprintf("%s-%d", key, round)
		var winners atomic.Int32
		var won atomic.Value
		race(func(n int) {
			mine := strconv.Itoa(n)
			_, err := commit(t, s, key, mine, cache.IfAbsent())
			if err == nil {
				winners.Add(1)
				won.Store(mine)
			} else if !errors.Is(err, cache.ErrPrecondition) {
				t.Errorf("loser's error: %v", err)
			}
		})
		if n := winners.Load(); n != 1 {
			t.Fatalf("%d winners", n)
		}
		want(t, s, key, won.Load().(string))
	}
}

func racingCounter(t *testing.T, s cache.Store) {
	const each = 10
	put(t, s, key, "0")
	race(func(int) {
		for range each {
			for !increment(t, s) && !t.Failed() {
			}
		}
	})
	want(t, s, key, strconv.Itoa(racers*each))
}

// increment adds one to the number under key and reports whether nobody was
// faster.
func increment(t *testing.T, s cache.Store) bool {
	o, err := s.Open(t.Context(), key)
	if err != nil {
		t.Error(err)
		return false
	}
	defer o.Close()
	data, err := io.ReadAll(o)
	if err != nil {
		t.Error(err)
		return false
	}
	n, err := strconv.Atoi(string(data))
	if err != nil {
		t.Error(err)
		return false
	}
	w, err := s.Create(t.Context(), key)
	if err != nil {
		t.Error(err)
		return false
	}
	if _, err := io.WriteString(w, strconv.Itoa(n+1)); err != nil {
		t.Error(err)
	}
	_, err = w.Commit(cache.IfRev(o.Rev))
	if err != nil && !errors.Is(err, cache.ErrPrecondition) {
		t.Error(err)
	}
	return err == nil
}

func racingDelete(t *testing.T, s cache.Store) {
	for range 5 {
		rev := put(t, s, key, "contested")
		var winners atomic.Int32
		race(func(n int) {
			// Others come and go in the same directory.
			neighbour := fmt.Sprintf("%s-%d", sibling, n)
			if _, err := commit(t, s, neighbour, "x", cache.IfAbsent()); err != nil {
				t.Errorf("neighbour: %v", err)
			}
			switch err := s.Delete(t.Context(), key, cache.IfRev(rev)); {
			case err == nil:
				winners.Add(1)
			case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, cache.ErrPrecondition):
				t.Errorf("loser's error: %v", err)
			}
			if err := s.Delete(t.Context(), neighbour, cache.Precondition{}); err != nil {
				t.Errorf("neighbour: %v", err)
			}
		})
		if n := winners.Load(); n != 1 {
			t.Fatalf("%d winners", n)
		}
	}
	if got := keys(t, s, ""); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
}

func revisions(t *testing.T, s cache.Store) {
	seen := make(map[string]int)
	for n := range 100 {
		rev := put(t, s, key, "always the same") // so that the size tells nothing
		if earlier, ok := seen[rev]; ok || rev == "" {
			t.Fatalf("commit %d has revision %q, as had commit %d", n, rev, earlier)
		}
		seen[rev] = n
		if got := get(t, s, key).Rev; got != rev {
			t.Fatalf("Commit said revision %s, Open says %s", rev, got)
		}
		if n%3 == 0 {
			if err := s.Delete(t.Context(), key, cache.IfRev(rev)); err != nil {
				t.Fatal(err)
			}
		}
	}
}
