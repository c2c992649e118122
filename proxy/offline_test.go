package proxy

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// TestOfflineSwitch: while it is on nothing is asked for upstream, what is held
// is served, and health has no complaint, since an administrator wanted it.
func TestOfflineSwitch(t *testing.T) {
	w := newWorld(t)
	want := noise(1000)
	w.up.publish("held", "1.0.0", want)
	w.up.publish("other", "1.0.0", want)
	w.get("/held").want(t, 200)
	w.get("/held/-/held-1.0.0.tgz").want(t, 200)
	reg := w.proxy.cfg.Upstreams[0]
	reg.SetOffline(true)
	asked := len(w.up.seen(""))
	w.get("/held").want(t, 200)
	if got := w.get("/held/-/held-1.0.0.tgz").want(t, 200).body; !bytes.Equal(got, want) {
		t.Error("other bytes")
	}
	for _, path := range []string{"/other", "/other/-/other-1.0.0.tgz", "/held/-/held-2.0.0.tgz", "/other/1.0.0", "/-/npm/v1/keys"} {
		if msg := w.get(path).wantError(t, 503); !strings.Contains(msg, "offline") && !strings.Contains(msg, "not available") {
			t.Errorf("%s: %q", path, msg)
		}
	}
	var h health
	if err := json.Unmarshal(w.get("/-/health/ready").want(t, 200).body, &h); err != nil {
		t.Fatal(err)
	}
	if h.Status != "ok" || h.Checks[0] != (checkResult{"upstream npm", true, "offline"}) {
		t.Errorf("health: %+v", h)
	}
	if n := len(w.up.seen("")); n != asked {
		t.Errorf("%d requests were sent while offline", n-asked)
	}
	reg.SetOffline(false)
	w.get("/other").want(t, 200)
	w.get("/other/-/other-1.0.0.tgz").want(t, 200)
}
