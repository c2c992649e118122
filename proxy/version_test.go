package proxy

import (
	"encoding/json"
	"testing"
)

func TestChecklist42_Versions(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.PublicURL = "https://acme.example" })
	w.up.publish("lodash", "4.17.21", []byte("x"))
	w.up.publish("@s/n", "1.2.3", []byte("x"))
	for path, want := range map[string]string{
		"/lodash/4.17.21":  "https://acme.example/lodash/-/lodash-4.17.21.tgz",
		"/lodash/latest":   "https://acme.example/lodash/-/lodash-4.17.21.tgz",
		"/lodash/%5E4.0.0": "https://acme.example/lodash/-/lodash-4.17.21.tgz", // a range, out of the packument
		"/@s/n/1.2.3":      "https://acme.example/@s/n/-/n-1.2.3.tgz",
		"/@s%2fn/1.2.3":    "https://acme.example/@s/n/-/n-1.2.3.tgz",
	} {
		r := w.get(path, "Accept", corgi).want(t, 200)
		var manifest struct{ Dist struct{ Tarball string } }
		if err := json.Unmarshal(r.body, &manifest); err != nil || manifest.Dist.Tarball != want {
			t.Errorf("%s: tarball %q (%v), want %q", path, manifest.Dist.Tarball, err, want)
		}
		w.get(path, "If-None-Match", r.Header.Get("ETag")).want(t, 304)
	}
	if got, want := w.get("/lodash/9.9.9").wantError(t, 404), "version not found: 9.9.9"; got != want {
		t.Errorf("error %q, want %q", got, want)
	}
}

func TestDistTags(t *testing.T) {
	w := newWorld(t)
	w.up.publish("@s/n", "1.0.0", []byte("x"))
	r := w.get("/-/package/@s%2fn/dist-tags").want(t, 200)
	r.wantHeader(t, "Cache-Control", "no-cache")
	if got, want := string(r.body), `{"latest":"1.0.0"}`; got != want {
		t.Errorf("body %s, want %s", got, want)
	}
}

func TestNoUpstreamForName(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Upstreams = nil })
	for _, path := range []string{"/lodash", "/lodash/1.0.0", "/lodash/-/lodash-1.0.0.tgz", "/-/package/lodash/dist-tags", "/-/npm/v1/attestations/lodash@1.0.0"} {
		if got, want := w.get(path).wantError(t, 404), "no upstream is configured for lodash"; got != want {
			t.Errorf("%s: error %q, want %q", path, got, want)
		}
	}
}
