package proxy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"larder/cache"
)

// twoUpstreams puts an upstream for @partner in front of the catch-all.
func twoUpstreams(t *testing.T) (partner *fakeUpstream, opt func(*Config)) {
	partner = newFakeUpstream(t)
	return partner, func(c *Config) {
		c.Upstreams = append(c.Upstreams[:0:0], newRegistry(t, cache.NewMem(), "partners", partner, "@partner/*"), c.Upstreams[0])
	}
}

func TestChecklist78_BulkAudit(t *testing.T) {
	tests := []struct {
		name   string
		status int // of upstream
		answer string
		want   int
		body   string
	}{
		{"advisories", 200, `{"lodash":[{"id":1,"title":"<b>"}]}`, 200, `{"lodash":[{"id":1,"title":"<b>"}]}`},
		{"nothing found", 200, `{}`, 200, `{}`},
		{"not asked about", 200, `{"other":[{"id":1}]}`, 200, `{}`},
		{"no such endpoint", 404, `{"error":"Not found"}`, 404, ""},
		{"upstream fails", 500, `oops`, 503, ""},
		{"not JSON", 200, `<html>`, 503, ""},
		{"not an object", 200, `[]`, 503, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.up.handle(bulkAuditPath, func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Content-Type", "application/json")
				rw.WriteHeader(tt.status)
				fmt.Fprint(rw, tt.answer)
			})
			r := w.do(http.MethodPost, bulkAuditPath, gzipped(t, `{"lodash":["1.0.0"]}`), "Content-Encoding", "gzip", "Content-Type", "application/json")
			if tt.want != 200 {
				r.wantError(t, tt.want)
				return
			}
			if got := string(r.want(t, 200).body); got != tt.body {
				t.Errorf("body %s, want %s", got, tt.body)
			}
			if got, want := w.up.posted(bulkAuditPath), `{"lodash":["1.0.0"]}`; got != want {
				t.Errorf("upstream was sent %s, want %s", got, want)
			}
		})
	}
}

func TestBulkAuditIsSplitByUpstream(t *testing.T) {
	partner, opt := twoUpstreams(t)
	w := newWorld(t, opt)
	w.up.serve(bulkAuditPath, `{"lodash":[{"id":1}],"@partner/x":[{"id":"forged"}]}`)
	partner.serve(bulkAuditPath, `{"@partner/x":[{"id":2}]}`)
	const asked = `{"lodash":["1.0.0"],"@partner/x":["2.0.0"],"../no-name":["1.0.0"]}`
	if got, want := string(w.do(http.MethodPost, bulkAuditPath, asked).want(t, 200).body), `{"@partner/x":[{"id":2}],"lodash":[{"id":1}]}`; got != want {
		t.Errorf("body %s, want %s", got, want)
	}
	if got, want := w.up.posted(bulkAuditPath), `{"lodash":["1.0.0"]}`; got != want {
		t.Errorf("the catch-all upstream was sent %s, want %s", got, want)
	}
	if got, want := partner.posted(bulkAuditPath), `{"@partner/x":["2.0.0"]}`; got != want {
		t.Errorf("the partner was sent %s, want %s", got, want)
	}

	t.Run("one without the endpoint", func(t *testing.T) {
		partner.handle(bulkAuditPath, http.NotFound)
		if got, want := string(w.do(http.MethodPost, bulkAuditPath, asked).want(t, 200).body), `{"lodash":[{"id":1}]}`; got != want {
			t.Errorf("body %s, want %s", got, want)
		}
	})
}

func TestAuditBodies(t *testing.T) {
	tests := []struct {
		name, encoding, body string
		status               int
	}{
		{"not JSON", "", "{", 400},
		{"not an object", "", `[1]`, 400},
		{"null", "", `null`, 400},
		{"not gzip", "gzip", "{}", 400},
		{"gzip that breaks off", "gzip", gzipped(t, `{"a":[]}`)[:15], 400},
		{"unknown encoding", "br", "{}", 400},
		{"too large", "", `{"a":["` + strings.Repeat("1", maxAuditBody) + `"]}`, 413},
		{"too large when unpacked", "gzip", gzipped(t, `{"a":["`+strings.Repeat("1", maxAuditBody)+`"]}`), 413},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.do(http.MethodPost, bulkAuditPath, tt.body, "Content-Encoding", tt.encoding).wantError(t, tt.status)
			if n := len(w.up.seen("")); n != 0 {
				t.Errorf("%d requests reached upstream", n)
			}
		})
	}
}

func TestAuditOfNothing(t *testing.T) {
	w := newWorld(t)
	if got := string(w.do(http.MethodPost, bulkAuditPath, `{}`).want(t, 200).body); got != `{}` {
		t.Errorf("body %s, want {}", got)
	}
	if n := len(w.up.seen("")); n != 0 {
		t.Errorf("%d requests reached upstream", n)
	}
}

// TestAuditsThatDecodeToMuch: a body of a few kilobytes unpacks to a few
// megabytes, and those decode to a gigabyte.
func TestAuditsThatDecodeToMuch(t *testing.T) {
	w := newWorld(t)
	w.up.serve(quickAuditPath, report)
	audit := func(values, want int) {
		t.Helper()
		body := gzipped(t, `{"x":[`+strings.Repeat(`{"b":0},`, values)+`0],"dependencies":{"lodash":{"version":"1.0.0"}}}`)
		w.do(http.MethodPost, quickAuditPath, body, "Content-Encoding", "gzip").want(t, want)
	}
	audit(1_000_000, 503)
	audit(50_000, 200)
	if !w.proxy.audits.TryAcquire(maxAuditMemory) {
		t.Error("something is held after the last audit")
	}
}

// TestAuditsShareOneBound holds all that audits may occupy, and then none of
// it: a few kilobytes of gzip become megabytes, and a refusal costs an install
// nothing.
func TestAuditsShareOneBound(t *testing.T) {
	w := newWorld(t)
	w.up.serve(bulkAuditPath, `{}`)
	w.up.serve(quickAuditPath, report)
	audit := func(want int) {
		t.Helper()
		w.do(http.MethodPost, bulkAuditPath, gzipped(t, `{"lodash":["1.0.0"]}`), "Content-Encoding", "gzip").want(t, want)
		w.do(http.MethodPost, quickAuditPath, `{"dependencies":{}}`).want(t, want)
	}
	if !w.proxy.audits.TryAcquire(maxAuditMemory) {
		t.Fatal("something is held before the first audit")
	}
	audit(503)
	w.proxy.audits.Release(maxAuditMemory)
	audit(200)
	w.do(http.MethodPost, bulkAuditPath, `{"lodash":`).wantError(t, 400)
	w.Server.Close() // waits for the handlers
	if !w.proxy.audits.TryAcquire(maxAuditMemory) {
		t.Error("something is held after the last audit")
	}
}

const report = `{"actions":[],"advisories":{},"muted":[],"metadata":{"vulnerabilities":{"low":0}}}`

func TestChecklist79_QuickAudit(t *testing.T) {
	tests := []struct {
		name, answer string
		want         int
	}{
		{"a report", report, 200},
		{"pnpm 10 crashes without vulnerabilities", `{"advisories":{},"metadata":{}}`, 404},
		{"pnpm 10 crashes without advisories", `{"metadata":{"vulnerabilities":{}}}`, 404},
		{"empty", `{}`, 404},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.up.serve(quickAuditPath, tt.answer)
			r := w.do(http.MethodPost, quickAuditPath, `{"dependencies":{"lodash":{"version":"1.0.0"}}}`).want(t, tt.want)
			if tt.want == 200 && string(r.body) != tt.answer {
				t.Errorf("body %s, want %s", r.body, tt.answer)
			}
		})
	}
}

func TestAuditTreeIsPruned(t *testing.T) {
	_, opt := twoUpstreams(t)
	w := newWorld(t, opt)
	w.up.serve(quickAuditPath, report)
	w.do(http.MethodPost, quickAuditPath, `{
		"name": "@partner/app", "version": "1.0.0",
		"install": ["lodash@1.0.0", "@partner/x@1.0.0", "alias@npm:@partner/x@1.0.0"],
		"requires": {"lodash": "^1.0.0", "@partner/x": "^1.0.0", "alias": "npm:@partner/x@^1.0.0"},
		"dependencies": {
			".": {"requires": {"@partner/x": "1"}, "dependencies": {"@partner/x": {"version": "1.0.0"}, "a": {"version": "1.0.0"}}},
			"@partner/x": {"version": "1.0.0", "dependencies": {"lodash": {"version": "2.0.0"}}},
			"alias": {"version": "npm:@partner/x@1.0.0"},
			"lodash": {"version": "1.0.0", "requires": true}
		}
	}`).want(t, 200)
	const want = `{"dependencies":{".":{"dependencies":{"a":{"version":"1.0.0"}},"requires":{}},` +
		`"lodash":{"requires":true,"version":"1.0.0"}},"install":["lodash@1.0.0"],"requires":{"lodash":"^1.0.0"},"version":"1.0.0"}`
	if d := cmp.Diff(want, w.up.posted(quickAuditPath)); d != "" {
		t.Errorf("upstream was sent something else:\n%s", d)
	}
}

func TestChecklist80_Search(t *testing.T) {
	w := newWorld(t)
	objects := func(n int) string {
		return `{"objects":[` + strings.TrimSuffix(strings.Repeat(`{"package":{"name":"a","links":{"npm":"https://x"}},"score":{"final":1.50}},`, n), ",") + `],"total":` + strconv.Itoa(n) + `}`
	}
	w.up.handle("/-/v1/search", func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		switch r.URL.Query().Get("text") {
		case "people":
			fmt.Fprint(rw, `{"objects":[{"package":{"name":"a","maintainers":[{"username":"al"}]}},{"package":{"name":"b"}},{"package":{"name":"c","maintainers":"al"}},`+
				`{"package":{"name":"d","maintainers":["al",{"username":"bo"}]}},`+
				`{"package":{"name":"e","maintainers":[{"name":"cy","email":"c@x.example"},{"email":"d@x.example"},null]}},{"package":{}},{"package":null},{},null]}`)
		case "broken":
			fmt.Fprint(rw, `{"objects":{}}`)
		case "fails":
			rw.WriteHeader(http.StatusInternalServerError)
		default:
			fmt.Fprint(rw, objects(300))
		}
	})
	search := func(query string) response { return w.get("/-/v1/search?" + query) }

	t.Run("maintainers", func(t *testing.T) {
		const want = `[{"package":{"maintainers":[{"username":"al"}],"name":"a"}},{"package":{"maintainers":[],"name":"b"}},{"package":{"maintainers":[],"name":"c"}},` +
			`{"package":{"maintainers":[{"username":"bo"}],"name":"d"}},` +
			`{"package":{"maintainers":[{"email":"c@x.example","name":"cy","username":"cy"}],"name":"e"}}]`
		if got := gjson.GetBytes(search("text=people").want(t, 200).body, "objects").Raw; got != want {
			t.Errorf("objects %s, want %s", got, want)
		}
	})
	t.Run("size", func(t *testing.T) {
		for query, want := range map[string]int{"text=x&size=7": 7, "text=x&size=1000": 250, "text=x&size=lots": 20} {
			var result struct{ Objects []json.RawMessage }
			if err := json.Unmarshal(search(query).want(t, 200).body, &result); err != nil || len(result.Objects) != want {
				t.Errorf("%s: %d objects (%v), want %d", query, len(result.Objects), err, want)
			}
		}
	})
	t.Run("what goes upstream", func(t *testing.T) {
		search("text=y&size=1000&from=40&quality=0.65&made-up=1").want(t, 200)
		seen := w.up.seen("/-/v1/search")
		if got, want := seen[len(seen)-1].URL.RawQuery, "from=40&quality=0.65&size=250&text=y"; got != want {
			t.Errorf("query %q, want %q", got, want)
		}
	})
	t.Run("nothing to search for", func(t *testing.T) {
		before := len(w.up.seen(""))
		if got, want := string(search("size=20").want(t, 200).body), `{"objects":[],"total":0,`; !strings.HasPrefix(got, want) {
			t.Errorf("body %s, want %s…", got, want)
		}
		if len(w.up.seen("")) != before {
			t.Error("upstream was asked")
		}
	})
	t.Run("upstream fails", func(t *testing.T) {
		search("text=fails").wantError(t, 503)
		search("text=broken").wantError(t, 503)
	})
}

func TestSearchAsksTheCatchAllAlone(t *testing.T) {
	partner, opt := twoUpstreams(t)
	w := newWorld(t, opt)
	w.up.serve("/-/v1/search", `{"objects":[]}`)
	w.get("/-/v1/search?text=secret").want(t, 200)
	if n := len(partner.seen("")); n != 0 {
		t.Errorf("%d requests reached the partner", n)
	}
}

func TestChecklist82_Keys(t *testing.T) {
	const path = "/-/npm/v1/keys"
	t.Run("union", func(t *testing.T) {
		partner, opt := twoUpstreams(t)
		w := newWorld(t, opt)
		w.up.serve(path, `{"keys":[{"keyid":"SHA256:a","key":"A"},{"keyid":"SHA256:b","key":"B"}]}`)
		partner.serve(path, `{"keys":[{"keyid":"SHA256:b","key":"B"},{"keyid":"SHA256:c","key":"C"}]}`)
		w.wantKeys(`{"keyid":"SHA256:b","key":"B"},{"keyid":"SHA256:c","key":"C"},{"keyid":"SHA256:a","key":"A"}`)
	})
	t.Run("one has none", func(t *testing.T) {
		_, opt := twoUpstreams(t)
		w := newWorld(t, opt)
		w.up.serve(path, `{"keys":[{"keyid":"SHA256:a"}]}`)
		w.wantKeys(`{"keyid":"SHA256:a"}`)
	})
	t.Run("one is away", func(t *testing.T) {
		partner, opt := twoUpstreams(t)
		w := newWorld(t, opt)
		w.up.serve(path, `{"keys":[{"keyid":"SHA256:a"}]}`)
		partner.Close()
		w.get(path).wantError(t, 503) // a missing key would fail every package signed with it
	})
	t.Run("nobody has any", func(t *testing.T) {
		newWorld(t).get(path).wantError(t, 404)
	})
	t.Run("something is published here", func(t *testing.T) {
		w, _ := published(t)
		own, err := json.Marshal(w.proxy.cfg.Auth.PublicKey())
		if err != nil {
			t.Fatal(err)
		}
		w.wantKeys(string(own))
	})
}

// wantKeys checks the signing keys.
func (w *world) wantKeys(keys string) {
	w.t.Helper()
	want := `{"keys":[` + keys + `]}`
	if got := string(w.get(keysPath).want(w.t, 200).body); got != want {
		w.t.Errorf("body %s, want %s", got, want)
	}
}

func TestChecklist83_AttestationsAndOIDCAtTheOrigin(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.PublicURL = "https://acme.example/npm/" })
	w.up.serve("/-/npm/v1/attestations/@s/n@1.0.0", `{"attestations":[]}`)
	for _, path := range []string{"/npm/-/npm/v1/attestations/@s%2fn@1.0.0", "/-/npm/v1/attestations/@s%2fn@1.0.0"} {
		if got, want := string(w.get(path).want(t, 200).body), `{"attestations":[]}`; got != want {
			t.Errorf("%s: body %s, want %s", path, got, want)
		}
	}
	w.get("/-/npm/v1/attestations/@s%2fn@2.0.0").wantError(t, 404)
	for _, path := range []string{"/-/npm/v1/oidc/token/exchange/package/@s%2fn", "/npm/-/npm/v1/oidc/token/exchange/package/lodash"} {
		w.do(http.MethodPost, path, "").wantError(t, 404)
	}
}
