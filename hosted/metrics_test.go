package hosted

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"larder/cache"
	"larder/metrics"
)

func TestMetrics(t *testing.T) {
	m := metrics.New("", "")
	s := newBrittle(cache.NewMem())
	p := newPackages(t, Config{Store: s, Metrics: m})
	k := pkg{name: "lib", version: "1.0.0"}
	publish(t, p, k)
	publish(t, p, k)
	k.text = "other"
	if _, err := send(t.Context(), t, p, k, alice); err == nil {
		t.Error("published over")
	}
	if _, err := p.SetOwners(t.Context(), "lib", "1-stale", object(t, `{"maintainers":[{"name":"x"}]}`), alice); err == nil {
		t.Error("stale owners were taken")
	}
	s.breaks(func(op, _ string) error {
		if op == "delete" || op == "commit" {
			return errBroken
		}
		return nil
	})
	if _, err := p.SetStar(t.Context(), "lib", "bob", true); err == nil {
		t.Error("a broken disk was not noticed")
	}
	s.breaks(func(op, _ string) error {
		if op == "delete" {
			return errBroken
		}
		return nil
	})
	if _, err := p.Unpublish(t.Context(), "lib", "", alice); err != nil {
		t.Error(err)
	}
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	for _, want := range []string{
		`larder_hosted_writes_total{op="publish",result="ok"} 1`,
		`larder_hosted_writes_total{op="publish",result="unchanged"} 1`,
		`larder_hosted_writes_total{op="publish",result="refused"} 1`,
		`larder_hosted_writes_total{op="owners",result="conflict"} 1`,
		`larder_hosted_writes_total{op="star",result="failed"} 1`,
		`larder_hosted_writes_total{op="unpublish",result="ok"} 1`,
		`larder_hosted_write_duration_seconds_count 6`,
		`larder_hosted_leftover_blobs_total 1`,
	} {
		if !strings.Contains(w.Body.String(), want+"\n") {
			t.Errorf("%s is lacking", want)
		}
	}
	if strings.Contains(w.Body.String(), "larder_hosted_published_bytes_total 0\n") ||
		strings.Contains(w.Body.String(), "larder_hosted_memory_bytes 0\n") {
		t.Error("bytes are not counted")
	}
}
