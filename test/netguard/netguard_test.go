package netguard

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	Guard()
	os.Exit(m.Run())
}

func TestLoopbackIsReached(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	defer s.Close()
	resp, err := http.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusTeapot {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestOthersAreRefused(t *testing.T) {
	for _, address := range []string{"192.0.2.1:80", "[2001:db8::1]:443", "10.0.0.1:80", "0.0.0.0:80"} {
		t.Run(address, func(t *testing.T) {
			_, err := http.Get("http://" + address)
			if err == nil || !strings.Contains(err.Error(), "netguard: a test may not dial") {
				t.Errorf("error %v, want netguard's", err)
			}
		})
	}
}

func TestNamesAreNotResolved(t *testing.T) {
	_, err := new(net.Dialer).DialContext(context.Background(), "tcp", "registry.example:80")
	if err == nil || !strings.Contains(err.Error(), "netguard") {
		t.Errorf("error %v, want netguard's", err)
	}
}
