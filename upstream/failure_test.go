package upstream

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
)

// TestReason: a connection's trouble in words, without the address that the
// error itself is full of.
func TestReason(t *testing.T) {
	dial := func(err error) error {
		return &url.Error{Op: "Get", URL: "http://10.1.2.3/a", Err: &net.OpError{Op: "dial", Net: "tcp",
			Addr: &net.TCPAddr{IP: net.IPv4(10, 1, 2, 3), Port: 80}, Err: err}}
	}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{dial(os.NewSyscallError("connect", syscall.ECONNREFUSED)), "connection refused"},
		{dial(os.NewSyscallError("read", syscall.ECONNRESET)), "connection reset by peer"},
		{dial(&net.DNSError{Err: "no such host", Name: "registry.example", Server: "10.1.2.3:53"}), "its name does not resolve"},
		{dial(os.ErrDeadlineExceeded), "connecting took too long"},
		{dial(&tls.CertificateVerificationError{Err: errors.New("x509")}), "its certificate is not trusted"},
		{fmt.Errorf("read: %w", io.ErrUnexpectedEOF), "it closed the connection early"},
		{dial(errors.New("something at 10.1.2.3")), "the connection failed"},
	} {
		if got := reason(tt.err); got != tt.want {
			t.Errorf("reason(%v) = %q, want %q", tt.err, got, tt.want)
		}
	}
}

func TestUpstreamText(t *testing.T) {
	for _, tt := range []struct{ name, contentType, body, want string }{
		{"error", "application/json", `{"error":"no","message":"longer"}`, "no"},
		{"message", "application/json", `{"message":"no"}`, "no"},
		{"an object in place of text", "application/json", `{"error":{"code":1}}`, ""},
		{"string", "application/json", `"no"`, "no"},
		{"text", "text/plain; charset=utf-8", "no\r\n\tway", "no way"},
		{"page", "text/html", "<b>no</b>", ""},
		{"binary", "application/octet-stream", "\x00\xff", ""},
		{"broken UTF-8", "text/plain", "no\xff", "no"},
		{"long", "text/plain", strings.Repeat("a", maxSentence+1), strings.Repeat("a", maxSentence) + "…"},
		{"nothing", "", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp := &http.Response{
				Header: http.Header{"Content-Type": {tt.contentType}},
				Body:   io.NopCloser(strings.NewReader(tt.body)),
			}
			if got := upstreamText(resp); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
