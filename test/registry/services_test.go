package registry

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/tidwall/gjson"
)

func post(t *testing.T, s *Server, path, body string, packed bool) response {
	t.Helper()
	var buf bytes.Buffer
	if packed {
		zw := gzip.NewWriter(&buf)
		io.WriteString(zw, body)
		zw.Close()
	} else {
		buf.WriteString(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+path, &buf)
	if err != nil {
		t.Fatal(err)
	}
	if packed {
		req.Header.Set("Content-Encoding", "gzip")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return response{resp, answer, err}
}

func TestAudit(t *testing.T) {
	s := start(t, Config{})
	if err := s.AddAdvisory(Advisory{ID: 7, Name: "is-number", Vulnerable: "<7.0.0", Severity: "high", Title: "slow"}); err != nil {
		t.Fatal(err)
	}
	const quick, full, advisories = "-/npm/v1/security/audits/quick", "-/npm/v1/security/audits", "-/npm/v1/security/advisories/bulk"
	tests := []struct {
		name, path, body string
		packed           bool
		status           int
		query, want      string
	}{
		{"bulk, packed as npm does", advisories, `{"is-number":["6.0.0"],"is-odd":["3.0.1"]}`, true, 200, "is-number.0.severity", "high"},
		{"bulk, plain as pnpm does", advisories, `{"is-number":["6.0.0","7.0.0"]}`, false, 200, "is-number.0.vulnerable_versions", "<7.0.0"},
		{"bulk, nothing found", advisories, `{"is-number":["7.0.0"]}`, false, 200, "@this", "{}"},
		{"bulk, no JSON", advisories, `{`, false, 400, "error", "the body is not JSON"},
		{"quick, nested under a dot", quick, `{"dependencies":{".":{"dependencies":{"is-number":{"version":"6.0.0"}}}}}`, false, 200, "metadata.vulnerabilities.high", "1"},
		{"quick, nothing found", quick, `{"dependencies":{}}`, false, 200, "advisories", "{}"},
		{"full, two levels deep", full, `{"dependencies":{"is-odd":{"version":"3.0.1","dependencies":{"is-number":{"version":"6.0.0"}}}}}`, true, 200, "advisories.7.findings.0.version", "6.0.0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp := post(t, s, tt.path, tt.body, tt.packed)
			if resp.StatusCode != tt.status {
				t.Fatalf("%d %s", resp.StatusCode, resp.body)
			}
			if got := gjson.GetBytes(resp.body, tt.query).String(); got != tt.want {
				t.Errorf("%s is %q, want %q in %s", tt.query, got, tt.want, resp.body)
			}
		})
	}
	if err := s.AddAdvisory(Advisory{Name: "a", Vulnerable: "not a range"}); err == nil {
		t.Error("a bad range is let in")
	}
}

func TestSearch(t *testing.T) {
	s := start(t, Config{})
	tests := []struct{ query, names, total string }{
		{"text=json", "[JSONStream jsonparse jsonstream]", "3"},
		{"text=streaming+parser", "[jsonparse]", "1"},
		{"text=json&size=1&from=1", "[jsonparse]", "3"},
		{"text=json&from=9", "[]", "3"},
		{"text=nobody-has-this", "[]", "0"},
	}
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			resp := gjson.ParseBytes(ask(t, s, "-/v1/search?"+tt.query).body)
			if names := fmt.Sprint(resp.Get("objects.#.package.name").Value()); names != tt.names {
				t.Errorf("found %s, want %s", names, tt.names)
			}
			if total := resp.Get("total").String(); total != tt.total {
				t.Errorf("total %s, want %s", total, tt.total)
			}
			for _, o := range resp.Get("objects").Array() {
				if !o.Get("package.maintainers.0.username").Exists() || !o.Get("package.date").Exists() {
					t.Errorf("npm would crash on %s", o)
				}
			}
		})
	}
	if resp := ask(t, s, "-/v1/search"); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("without text: %d", resp.StatusCode)
	}
}

func TestLoadRefuses(t *testing.T) {
	tests := []struct{ name, file, content, want string }{
		{"no version", "a.txtar", "-- package.json --\n{}\n", "NAME@VERSION"},
		{"only a scope", "@scope.txtar", "-- package.json --\n{}\n", "NAME@VERSION"},
		{"no manifest", "a@1.0.0.txtar", "-- index.js --\n", "no package.json"},
		{"bad extras", "a@1.0.0.txtar", "-- package.json --\n{}\n-- registry.json --\n{", "JSON"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, Config{}, Package{Name: "other", Version: "1.0.0"})
			err := s.Load(fstest.MapFS{tt.file: {Data: []byte(tt.content)}})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}
