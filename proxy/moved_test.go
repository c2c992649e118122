package proxy

import (
	"testing"

	"larder/npm"
)

// TestADocumentReplacedMeanwhile: between the answer to "which revision?" and
// the rendering upstream publishes, and the store has the new bytes. They must
// not be kept under the old revision's name, where a later answer that still
// says so would find them for ever.
func TestADocumentReplacedMeanwhile(t *testing.T) {
	w := newWorld(t)
	reg := w.proxy.cfg.Upstreams[0]
	b := base{url: "https://npm.acme.example", proven: true}
	w.up.publish("lodash", "1.0.0", []byte("one"))
	old, err := reg.Packument(t.Context(), "lodash", npm.Full, false)
	if err != nil {
		t.Fatal(err)
	}
	body, release, err := old.Body(t.Context()) // so that the flight's copy is gone
	if err != nil {
		t.Fatal(err)
	}
	_ = body
	release()
	before := *old
	w.up.publish("lodash", "2.0.0", []byte("two"))
	if _, err := reg.Packument(t.Context(), "lodash", npm.Full, true); err != nil {
		t.Fatal(err)
	}
	doc, err := w.proxy.document(t.Context(), reg, old, npm.Full, b, view{})
	if err != nil {
		t.Fatal(err)
	}
	defer doc.Close()
	// Asked for again by its old revision, it must not be the new document
	// that answers without a look at the revision.
	again := before
	late, err := w.proxy.finished(t.Context(), reg, &again, npm.Full, b, view{})
	if err == nil {
		late.Close()
		t.Errorf("the old revision is answered with %s, the new one with %s", late.ETag(), doc.ETag())
	}
}
