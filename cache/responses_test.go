package cache

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gregjones/httpcache"
)

const (
	fullKey = "http://npm.upstream.invalid/@types%2fnode"
	formKey = "http://npm.upstream.invalid/@types%2fnode#abbreviated"
)

// dumped returns a response as httputil.DumpResponse writes it.
func dumped(etag, body string) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nContent-Encoding: gzip\r\nEtag: %s\r\n\r\n%s", len(body), etag, body)
}

// wantResponse fails unless key holds a response with this ETag and body; an
// empty etag means that there must be none.
func wantResponse(t *testing.T, r *Responses, key, etag, body string) {
	t.Helper()
	dump, ok := r.Get(key)
	header, gotBody, bodyOK := r.Body(key)
	if ok != bodyOK {
		t.Fatalf("Get says %t, Body says %t", ok, bodyOK)
	}
	if etag == "" {
		if ok {
			t.Fatalf("%s is held: %.200q", key, dump)
		}
		return
	}
	if !ok {
		t.Fatalf("%s is missing", key)
	}
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(dump)), nil)
	if err != nil {
		t.Fatalf("httpcache could not read %.200q: %v", dump, err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || string(got) != body || string(gotBody) != body {
		t.Fatalf("Get has body %.40q, %v; Body has %.40q; want %.40q", got, err, gotBody, body)
	}
	only, ok := r.Header(key)
	if !ok || resp.Header.Get("ETag") != etag || header.Get("ETag") != etag || only.Get("ETag") != etag {
		t.Fatalf("ETags %s, %s, %s; want %s", resp.Header.Get("ETag"), header.Get("ETag"), only.Get("ETag"), etag)
	}
}

func TestResponsesServeHTTPCache(t *testing.T) {
	body := strings.Repeat("a packument ", 10_000)
	var asked, confirmed int
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		asked++
		w.Header().Set("ETag", `"rev-1"`)
		w.Header().Set("Cache-Control", "max-age=0")
		w.Header().Set("X-Asked", fmt.Sprint(asked))
		if req.Header.Get("If-None-Match") == `"rev-1"` {
			confirmed++
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.(http.Flusher).Flush() // chunked: no Content-Length
		io.WriteString(w, body)
	}))
	defer upstream.Close()

	store := newBrittleStore()
	responses := NewResponses(store, nil, nil)
	client := http.Client{Transport: &httpcache.Transport{Cache: responses}}
	for n := 1; n <= 3; n++ {
		resp, err := client.Get(upstream.URL + "/react#full")
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(got) != body {
			t.Fatalf("request %d: %d bytes, %v", n, len(got), err)
		}
		if asked != n || confirmed != n-1 || resp.Header.Get("X-Asked") != fmt.Sprint(n) {
			t.Errorf("request %d: upstream was asked %d times and confirmed %d; X-Asked %s", n, asked, confirmed, resp.Header.Get("X-Asked"))
		}
	}
	if heads, bodies := store.counted("commit head"), store.counted("commit body"); heads != 3 || bodies != 1 {
		t.Errorf("wrote %d headers and %d bodies; want 3 and 1", heads, bodies)
	}
	header, raw, ok := responses.Body(upstream.URL + "/react#full")
	if !ok || string(raw) != body || header.Get("Content-Length") != fmt.Sprint(len(body)) {
		t.Errorf("the stored body has %d bytes, header %v; want it without its chunks", len(raw), header)
	}
}

func TestResponsesLieUnderTheirPackage(t *testing.T) {
	for _, test := range []struct{ name, key, owner string }{
		{"scoped", fullKey, OwnerKey("npm", "@types/node")},
		{"another form", formKey, OwnerKey("npm", "@types/node")},
		{"below the package", "http://npm.upstream.invalid/@types%2fnode/20.1.0", OwnerKey("npm", "@types/node")},
		{"unscoped", "http://partners.upstream.invalid/JSONStream#full", OwnerKey("partners", "JSONStream")},
		{"no package", "http://npm.upstream.invalid/-/v1/search?text=a/b", OwnerKey("npm", "-")},
		{"a bad escape", "http://npm.upstream.invalid/%zz", OwnerKey("", "http://npm.upstream.invalid/%zz")},
		{"a HEAD request", "HEAD " + fullKey, OwnerKey("", "HEAD "+fullKey)},
	} {
		t.Run(test.name, func(t *testing.T) {
			store := NewMem()
			r := NewResponses(store, nil, nil)
			r.Set(test.key, dumped(`"1"`, "body"))
			wantResponse(t, r, test.key, `"1"`, "body")
			if err := store.Walk(t.Context(), "", func(i Info) error {
				if !strings.HasPrefix(i.Key, test.owner+"/") {
					t.Errorf("%s does not lie under %s", i.Key, test.owner)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestResponsesReplaceAndDelete(t *testing.T) {
	store := NewMem()
	r := NewResponses(store, nil, nil)
	wantResponse(t, r, fullKey, "", "")
	r.Delete(fullKey) // nothing there
	r.Set(fullKey, dumped(`"1"`, "one"))
	r.Set(formKey, dumped(`"f"`, "one"))
	r.Set(fullKey, dumped(`"2"`, "two"))
	wantResponse(t, r, fullKey, `"2"`, "two")
	wantResponse(t, r, formKey, `"f"`, "one")
	if got := storedKinds(t, store); got != "body body head head" {
		t.Errorf("the store holds %s", got)
	}
	r.Delete(fullKey)
	wantResponse(t, r, fullKey, "", "")
	wantResponse(t, r, formKey, `"f"`, "one")
	if got := storedKinds(t, store); got != "body head" {
		t.Errorf("after Delete the store holds %s", got)
	}
}

func TestResponsesMove(t *testing.T) {
	store := newBrittleStore()
	r := NewResponses(store, nil, nil)
	r.Move(formKey, fullKey) // nothing there
	wantResponse(t, r, fullKey, "", "")

	r.Set(fullKey, dumped(`"old"`, "old"))
	r.Set(formKey, dumped(`"new"`, "new"))
	r.Move(formKey, formKey)
	wantResponse(t, r, formKey, `"new"`, "new")
	r.Move(formKey, fullKey)
	wantResponse(t, r, formKey, "", "")
	wantResponse(t, r, fullKey, `"new"`, "new")
	if got := storedKinds(t, store); got != "body head" {
		t.Errorf("the store holds %s", got)
	}

	// A later response under the old key has nothing to do with the moved one.
	r.Set(formKey, dumped(`"new"`, "new"))
	r.Set(formKey, dumped(`"newer"`, "newer"))
	wantResponse(t, r, fullKey, `"new"`, "new")

	store.breaks(func(op, key string) bool { return op == "commit" })
	r.Move(formKey, fullKey)
	store.breaks(nil)
	wantResponse(t, r, formKey, `"newer"`, "newer")
	wantResponse(t, r, fullKey, `"new"`, "new")
}

// A process that dies between two steps of Set is like a store that fails at
// the second.
func TestResponsesAreNeverMixed(t *testing.T) {
	for _, op := range []string{"create", "write", "commit"} {
		for _, kind := range []string{"body", "head"} {
			t.Run(op+" "+kind, func(t *testing.T) {
				store := newBrittleStore()
				r := NewResponses(store, nil, nil)
				dies := func(o, key string) bool { return o == op && kindOf(key) == kind }

				store.breaks(dies)
				r.Set(fullKey, dumped(`"1"`, "one"))
				store.breaks(nil)
				wantResponse(t, r, fullKey, "", "")

				r.Set(fullKey, dumped(`"1"`, "one"))
				store.breaks(dies)
				r.Set(fullKey, dumped(`"2"`, "two"))
				store.breaks(nil)
				wantResponse(t, r, fullKey, `"1"`, "one")

				r.Set(fullKey, dumped(`"2"`, "two"))
				wantResponse(t, r, fullKey, `"2"`, "two")
			})
		}
	}
}

func TestResponsesOnABrokenStoreAreMisses(t *testing.T) {
	store := newBrittleStore()
	r := NewResponses(store, nil, nil)
	r.Set(fullKey, dumped(`"1"`, "one"))
	store.breaks(func(string, string) bool { return true })
	wantResponse(t, r, fullKey, "", "")
	if _, ok := r.Header(fullKey); ok {
		t.Error("a header came from a broken store")
	}
	r.Set(fullKey, dumped(`"2"`, "two"))
	r.Move(fullKey, formKey)
	r.Delete(fullKey)
	store.breaks(nil)
	wantResponse(t, r, fullKey, `"1"`, "one") // the disk is back, and so is what it held
}

func TestDamagedResponsesAreMissesAndComeBack(t *testing.T) {
	body := strings.Repeat("body", 1000)
	for _, kind := range []string{"head", "body"} {
		cases := damages()
		cases["deleted"] = func([]byte) []byte { return nil }
		for name, damage := range cases {
			t.Run(kind+" "+name, func(t *testing.T) {
				store := NewMem()
				r := NewResponses(store, nil, nil)
				r.Set(fullKey, dumped(`"1"`, body))
				rewrite(t, store, kind, damage)
				wantResponse(t, r, fullKey, "", "")
				r.Set(fullKey, dumped(`"1"`, body))
				wantResponse(t, r, fullKey, `"1"`, body)
				if got := storedKinds(t, store); got != "body head" {
					t.Errorf("the store holds %s", got)
				}
			})
		}
	}
}

func TestResponsesRefuseWhatIsNotWhole(t *testing.T) {
	for name, dump := range map[string]string{
		"empty":             "",
		"no header":         "body",
		"no end of header":  "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n",
		"a short body":      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nbody",
		"a long body":       "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbody",
		"a broken chunk":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbody",
		"no last chunk":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n",
		"an endless header": "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxResponseHead) + "\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			store := NewMem()
			NewResponses(store, nil, nil).Set(fullKey, []byte(dump))
			if got := storedKinds(t, store); got != "" {
				t.Errorf("stored: %s", got)
			}
		})
	}
}

func TestResponsesRacing(t *testing.T) {
	r := NewResponses(NewMem(), nil, nil)
	deadline := time.Now().Add(300 * time.Millisecond)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for time.Now().Before(deadline) {
				n := rand.IntN(5)
				switch key := []string{fullKey, formKey}[rand.IntN(2)]; rand.IntN(8) {
				case 0:
					r.Delete(key)
				case 1:
					r.Move(formKey, fullKey)
				default:
					r.Set(key, dumped(fmt.Sprintf(`"%d"`, n), strings.Repeat(fmt.Sprint(n), 1000+n)))
				}
			}
		})
		group.Go(func() {
			for time.Now().Before(deadline) {
				header, body, ok := r.Body([]string{fullKey, formKey}[rand.IntN(2)])
				if !ok {
					continue
				}
				n := strings.Trim(header.Get("ETag"), `"`)
				if !strings.HasPrefix(string(body), n) || header.Get("Content-Length") != fmt.Sprint(len(body)) {
					t.Errorf("header %v with body %.10q of %d bytes", header, body, len(body))
				}
			}
		})
	}
	group.Wait()
	// Whatever the race left, the next answer is kept.
	r.Set(fullKey, dumped(`"last"`, "last"))
	wantResponse(t, r, fullKey, `"last"`, "last")
}

// Of two answers that arrive at once, one that confirms what is stored and a
// new one, the later wins, but something good is always there afterwards.
func TestResponsesRacingLoseNothing(t *testing.T) {
	for n := range 2000 {
		store := NewMem()
		r := NewResponses(store, nil, nil)
		r.Set(fullKey, dumped(`"old"`, "old"))
		var group sync.WaitGroup
		group.Go(func() { r.Set(fullKey, dumped(`"confirmed"`, "old")) })
		group.Go(func() { r.Set(fullKey, dumped(`"new"`, "new")) })
		group.Wait()
		if _, _, ok := r.Body(fullKey); !ok {
			t.Fatalf("race %d left nothing", n)
		}
		if got := storedKinds(t, store); got != "body head" {
			t.Fatalf("race %d left %s", n, got)
		}
	}
}

func FuzzStoredResponse(f *testing.F) {
	h, body, err := parseDump(dumped(`"1"`, "body"))
	if err != nil {
		f.Fatal(err)
	}
	h.body, h.sum, h.size = FileKey(OwnerKey("npm", "react"), "body", fullKey), bodySum(body), int64(len(body))
	text, _, err := unseal(responseSeal, h.encode())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("{}\nHTTP/1.1 200 OK\r\n\r\n"))
	f.Add([]byte("{\"size\":-1}\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, err := parseResponseHead(text); err == nil && !bytes.HasPrefix(text, []byte("larder ")) {
			t.Error("bytes without a seal are taken for a header")
		}
		// The fuzzer does not guess checksums.
		h, err := parseResponseHead(seal(responseSeal, text))
		if err != nil {
			return
		}
		again, err := parseResponseHead(h.encode())
		if err != nil || again.body != h.body || again.size != h.size || again.sum != h.sum || !bytes.Equal(again.http, h.http) {
			t.Errorf("%+v comes back as %+v, %v", h, again, err)
		}
		// Whatever the file says, only its own body is ever served with it.
		store := NewMem()
		r := NewResponses(store, nil, nil)
		ctx := t.Context()
		if err := r.write(ctx, FileKey(responseOwner(fullKey), "head", fullKey), h.encode()); err != nil {
			t.Fatal(err)
		}
		if _, _, err := splitKey(h.body); err == nil {
			if err := r.write(ctx, h.body, make([]byte, min(h.size, 1<<16))); err != nil {
				t.Fatal(err)
			}
		}
		if _, body, ok := r.Body(fullKey); ok && bodySum(body) != h.sum {
			t.Error("a body was served that the header does not vouch for")
		}
	})
}

func FuzzDumpedResponse(f *testing.F) {
	f.Add(dumped(`"1"`, "body"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"))
	f.Add([]byte("HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nbody"))
	f.Fuzz(func(t *testing.T, dump []byte) {
		r := NewResponses(NewMem(), nil, nil)
		r.Set(fullKey, dump)
		got, ok := r.Get(fullKey)
		if !ok {
			return
		}
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(got)), nil)
		if err != nil {
			t.Fatalf("%q was kept as %q: %v", dump, got, err)
		}
		defer resp.Body.Close()
		if _, err := io.ReadAll(resp.Body); err != nil {
			t.Fatalf("%q was kept as %q: %v", dump, got, err)
		}
	})
}

func TestSeal(t *testing.T) {
	sealed := seal("thing-1", []byte("text"))
	text, rest, err := unseal("thing-1", append(sealed, "rest"...))
	if err != nil || string(text) != "text" || string(rest) != "rest" {
		t.Fatalf("unseal = %q, %q, %v", text, rest, err)
	}
	if _, _, err := unseal("thing-2", sealed); err == nil {
		t.Error("another version's seal was accepted")
	}
	for i := range sealed {
		for bit := range 8 {
			sealed[i] ^= 1 << bit
			if text, _, err := unseal("thing-1", sealed); err == nil && string(text) != "text" {
				t.Errorf("bit %d of byte %d: %q passed", bit, i, text)
			}
			sealed[i] ^= 1 << bit
		}
	}
}

func TestResponseKeysKeepTheirOwner(t *testing.T) {
	u := url.URL{Scheme: "http", Host: "npm.upstream.invalid", Path: "/@types/node", RawPath: "/@types%2fnode"}
	if got := responseOwner(u.String()); got != OwnerKey("npm", "@types/node") {
		t.Errorf("a url.URL's own spelling of the key has owner %s", got)
	}
}
