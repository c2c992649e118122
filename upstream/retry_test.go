package upstream

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"larder/npm"
)

// failing is a handler that breaks the first n answers.
func failing(n int32, broken, good http.HandlerFunc) http.HandlerFunc {
	var calls atomic.Int32
	return func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) <= n {
			broken(w, r)
			return
		}
		good(w, r)
	}
}

func patient(c *Config) { c.RetryBudget = time.Minute }

func TestRetries(t *testing.T) {
	good := answerWith(http.StatusOK, npm.FullType, fullDoc("a", jan, "1.0.0"))
	for _, tt := range []struct {
		name   string
		fails  int32
		broken http.HandlerFunc
		ok     bool
		asked  int
	}{
		{"503 once", 1, answerWith(503, "", ""), true, 2},
		{"503 twice", 2, answerWith(503, "", ""), true, 3},
		{"503 for ever", 99, answerWith(503, "", ""), false, 3},
		{"429", 1, answerWith(429, "", ""), true, 2},
		{"a broken connection", 1, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, true, 2},
		{"a cut body", 1, answerWith(200, npm.FullType, `{"name"`, "Content-Length", "100"), true, 2},
		{"bad JSON", 1, answerWith(200, npm.FullType, `{"name"`), true, 2},
		{"a web page", 1, answerWith(200, "text/html", `<html>`), true, 2},
		{"Retry-After that does not fit", 1, answerWith(503, "", "", "Retry-After", "3600"), false, 1},
		{"404", 1, answerWith(404, "", ""), false, 1},
		{"401", 1, answerWith(401, "", ""), false, 1},
		{"403", 1, answerWith(403, "", ""), false, 1},
		{"400", 1, answerWith(400, "", ""), false, 1},
		{"508", 1, answerWith(508, "", ""), false, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newRig(t, patient)
			g.fake.handle("/a", failing(tt.fails, tt.broken, good))
			_, err := g.Packument(t.Context(), "a", npm.Full, false)
			if (err == nil) != tt.ok {
				t.Errorf("error %v", err)
			}
			if n := len(g.fake.asked("/a")); n != tt.asked {
				t.Errorf("asked %d times, want %d", n, tt.asked)
			}
		})
	}
}

func TestRetriesEndWithTheBudget(t *testing.T) {
	g := newRig(t) // whose budget has no room for a second try
	g.fake.handle("/a", answerWith(503, "", ""))
	if _, err := g.Packument(t.Context(), "a", npm.Full, false); err == nil {
		t.Fatal("no error")
	}
	if n := len(g.fake.asked("/a")); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestFurtherURLsStandIn(t *testing.T) {
	for _, tt := range []struct {
		name   string
		first  http.HandlerFunc
		second bool // is asked
	}{
		{"the first is down", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, true},
		{"the first answers 500", answerWith(500, "", ""), true},
		{"the first answers 404", answerWith(404, "", ""), false},
		{"the first answers 429", answerWith(429, "", ""), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			second := newFake(t)
			second.handle("/a", docServer(npm.FullType, always(fullDoc("a", jan, "1.0.0"))))
			g := newRig(t, func(c *Config) { c.URLs = append(c.URLs, parseURL(t, second.URL)) })
			g.fake.handle("/a", tt.first)
			_, err := g.Packument(t.Context(), "a", npm.Full, false)
			if asked := len(second.asked("/a")) == 1; asked != tt.second || (err == nil) != tt.second {
				t.Fatalf("the second was asked: %t, error %v", asked, err)
			}
			if !tt.second {
				return
			}
			g.get(t, "a", npm.Full, true, Revalidated)
			if n := len(g.fake.asked("/a")); n != 1 {
				t.Errorf("the first was asked %d times: it is not left in peace", n)
			}
		})
	}
}

func TestPreference(t *testing.T) {
	var p preference
	for i, tt := range []struct {
		set  int
		news bool
	}{{0, false}, {2, true}, {2, false}, {0, true}} {
		if news := p.set(tt.set); news != tt.news || p.get() != tt.set {
			t.Errorf("step %d: news %t, URL %d", i, news, p.get())
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"":                              0,
		"0":                             0,
		"7":                             7 * time.Second,
		" 7 ":                           7 * time.Second,
		"-7":                            0,
		"1.5":                           0,
		"soon":                          0,
		"99999999999999999999":          0,
		"7200":                          maxRetryAfter,
		"Mon, 01 Jan 2024 00:00:10 GMT": 10 * time.Second,
		"Mon, 01 Jan 2023 00:00:10 GMT": 0,
		"Mon, 01 Jan 2099 00:00:10 GMT": maxRetryAfter,
	} {
		if got := retryAfter(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("Retry-After: %s gives %s, want %s", value, got, want)
		}
	}
}

func TestBackoffGrowsWithinItsBounds(t *testing.T) {
	for n := 1; n < maxTries; n++ {
		for range 100 {
			if d := backoff(n); d < 0 || d >= firstBackoff<<(n-1) {
				t.Fatalf("backoff(%d) = %s", n, d)
			}
		}
	}
}
