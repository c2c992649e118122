package cache

import (
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"larder/metrics"
)

// wantMetric fails unless the exposition has this line, in whatever namespace.
func wantMetric(t *testing.T, m *metrics.Metrics, line string) {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if !strings.Contains(w.Body.String(), line+"\n") {
		name, _, _ := strings.Cut(line, " ")
		for got := range strings.Lines(w.Body.String()) {
			if strings.Contains(got, name) {
				t.Logf("got %s", got)
			}
		}
		t.Errorf("no metric %s", line)
	}
}

func TestTheStoreIsMeasured(t *testing.T) {
	m := metrics.New("1.0.0", "abcdef")
	d, err := OpenDir(DirConfig{Path: t.TempDir(), Metrics: m})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	d.started.Wait()
	if err := putDir(t, d, dirKey, "12345", Precondition{}); err != nil {
		t.Fatal(err)
	}
	wantMetric(t, m, "store_bytes 5")
	wantMetric(t, m, "store_files 1")

	if _, err := d.Open(t.Context(), "0123456789abcdef/missing"); err == nil {
		t.Fatal("a missing object was opened")
	}
	if err := putDir(t, d, dirKey, "", IfAbsent()); err == nil {
		t.Fatal("a precondition did not fail")
	}
	wantMetric(t, m, `store_errors_total{op="open"} 0`) // no trouble of the disk
	wantMetric(t, m, `store_errors_total{op="commit"} 0`)
	if err := os.RemoveAll(d.tmp); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.tmp, nil, filePerm); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Create(t.Context(), dirKey); err == nil {
		t.Fatal("Create succeeded without a directory")
	}
	wantMetric(t, m, `store_errors_total{op="create"} 1`)
}

func TestDocumentsAndResponsesAreMeasured(t *testing.T) {
	m := metrics.New("1.0.0", "abcdef")
	store := NewMem()
	d := NewDocuments(DocumentsConfig{Store: store, Metrics: m})
	defer d.Close()
	mustMake(t, d, testKey, renders(make([]byte, 12345)))
	wantMetric(t, m, "rendered_bytes_total 12345")

	r := NewResponses(store, m, nil)
	r.Set(fullKey, dumped(`"1"`, "body"))
	rewrite(t, store, "body", damages()["truncated"])
	r.Get(fullKey)
	wantMetric(t, m, "integrity_failures_total 1")
	rewrite(t, store, "doc", damages()["truncated"])
	restarted := NewDocuments(DocumentsConfig{Store: store, Metrics: m})
	defer restarted.Close()
	if _, ok := restarted.Lookup(t.Context(), testKey); ok {
		t.Error("the damaged document passes")
	}
	wantMetric(t, m, "integrity_failures_total 2")
}
