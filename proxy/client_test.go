package proxy

import (
	"net/http"
	"testing"
)

func TestClient(t *testing.T) {
	tests := []struct {
		name    string
		peer    string
		xff     []string
		want    string
		trusted bool
	}{
		{"direct", "192.0.2.7:5000", nil, "192.0.2.7", false},
		{"a client cannot forge its address", "192.0.2.7:5000", []string{"198.51.100.1"}, "192.0.2.7", false},
		{"one proxy", "10.0.0.1:5000", []string{"192.0.2.7"}, "192.0.2.7", true},
		{"a forged element on the left", "10.0.0.1:5000", []string{"198.51.100.1, 192.0.2.7"}, "192.0.2.7", true},
		{"two proxies", "10.0.0.1:5000", []string{"192.0.2.7, 10.0.0.2"}, "192.0.2.7", true},
		{"two lines", "10.0.0.1:5000", []string{"192.0.2.7", "10.0.0.2"}, "192.0.2.7", true},
		{"all of them proxies", "10.0.0.1:5000", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3", true},
		{"with a port", "10.0.0.1:5000", []string{"192.0.2.7:1234"}, "192.0.2.7", true},
		{"IPv6", "10.0.0.1:5000", []string{"2001:db8::1"}, "2001:db8::1", true},
		{"IPv6 with a port", "10.0.0.1:5000", []string{"[2001:db8::1]:1234"}, "2001:db8::1", true},
		{"malformed element ends the walk", "10.0.0.1:5000", []string{"192.0.2.7, unknown"}, "10.0.0.1", true},
		{"no header", "10.0.0.1:5000", nil, "10.0.0.1", true},
		{"mapped peer", "[::ffff:10.0.0.1]:5000", []string{"192.0.2.7"}, "192.0.2.7", true},
		{"Unix socket", "@", []string{"192.0.2.7"}, "invalid IP", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := &bases{proxies: trustedNet()}
			r := &http.Request{RemoteAddr: tt.peer, Header: http.Header{"X-Forwarded-For": tt.xff}}
			addr, trusted := b.client(r)
			if addr.String() != tt.want || trusted != tt.trusted {
				t.Errorf("client %v, trusted %v, want %v and %v", addr, trusted, tt.want, tt.trusted)
			}
		})
	}
}

func TestPassedThrough(t *testing.T) {
	tests := []struct {
		name string
		via  []string
		want bool
	}{
		{"no header", nil, false},
		{"us", []string{"1.1 larder-1"}, true},
		{"us among others", []string{"1.0 fred, 1.1 larder-1 (Larder)"}, true},
		{"second line", []string{"1.1 fred", "HTTP/2 larder-1"}, true},
		{"a longer name", []string{"1.1 larder-10"}, false},
		{"only in a comment", []string{"1.1 fred larder-1"}, false},
		{"no version", []string{"larder-1"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := passedThrough(tt.via, "larder-1"); got != tt.want {
				t.Errorf("passedThrough(%q) = %v, want %v", tt.via, got, tt.want)
			}
		})
	}
}
