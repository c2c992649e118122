package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"larder/metrics"
)

// issue writes a certificate for this machine, and its key, into a directory.
func issue(t *testing.T, dir string, from, until time.Time) TLSConfig {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(until.UnixNano()),
		Subject:      pkix.Name{CommonName: "larder's test"},
		DNSNames:     []string{"*.larder.test", "npm.larder.test", "localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		NotBefore:    from, NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cfg := TLSConfig{Cert: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key")}
	for name, block := range map[string]*pem.Block{cfg.Cert: {Type: "CERTIFICATE", Bytes: der}, cfg.Key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cfg
}

// issueNow is issue for a time around now.
func issueNow(t *testing.T, dir string) TLSConfig {
	return issue(t, dir, time.Now().Add(-time.Hour), time.Now().Add(90*24*time.Hour))
}

// secureClient returns a client that trusts the certificates in files, and
// speaks HTTP/2 or HTTP/1.1.
func secureClient(t *testing.T, http2 bool, files ...string) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil || !roots.AppendCertsFromPEM(text) {
			t.Fatal(err)
		}
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP1(!http2)
	transport.Protocols.SetHTTP2(http2)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestServeTLS(t *testing.T) {
	dir := t.TempDir()
	cfg := issueNow(t, dir)
	up, _, _ := slowRegistry(t)
	larder, stop := launch(t, []string{"LARDER_TLS_CERT=" + cfg.Cert, "LARDER_TLS_KEY=" + cfg.Key}, serveArgs(t, up)...)
	base := larder.url()
	if !strings.HasPrefix(base, "https://127.0.0.1:") {
		t.Fatalf("it listens on %s", base)
	}
	_, port, _ := net.SplitHostPort(strings.Trim(strings.TrimPrefix(base, "https://"), "/"))
	if want := "is listening on https://npm.larder.test:" + port + "/"; !strings.Contains(larder.output(), want) {
		t.Errorf("no %q in\n%s", want, larder.output())
	}
	for proto, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		client := secureClient(t, http2, cfg.Cert)
		res, err := client.Get(base + "slow")
		if err != nil {
			t.Fatalf("%s: %v", proto, err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.Proto != proto || res.StatusCode != http.StatusOK || !strings.Contains(string(body), base+"slow/-/slow-1.0.0.tgz") {
			t.Errorf("%s: %s, %s, %v, %s", proto, res.Proto, res.Status, err, body)
		}
	}
	if _, err := tls.Dial("tcp", strings.Trim(strings.TrimPrefix(base, "https://"), "/"), &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("it speaks TLS 1.1")
	}
	if res, err := http.Get("http" + strings.TrimPrefix(base, "https") + "-/ping"); err == nil {
		if res.Body.Close(); res.StatusCode != http.StatusBadRequest {
			t.Errorf("plain HTTP is answered with %s", res.Status)
		}
	}

	renewed := issueNow(t, t.TempDir())
	for from, to := range map[string]string{renewed.Key: cfg.Key, renewed.Cert: cfg.Cert} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	larder.waitFor("the TLS certificate was renewed")
	res, err := secureClient(t, true, cfg.Cert).Get(base + "-/health/ready")
	if err != nil {
		t.Fatalf("with the renewed certificate: %v", err)
	}
	body, _ := io.ReadAll(res.Body)
	res.Body.Close()
	if !strings.Contains(string(body), `{"name":"TLS certificate","ok":true}`) {
		t.Errorf("health says %s", body)
	}
	stop()
	if status := larder.exit(); status != exitOK {
		t.Errorf("exit status %d:\n%s", status, larder.output())
	}
}

// TestDownloadsOverHTTP2Finish: a stop waits for streams as it does for
// connections.
func TestDownloadsOverHTTP2Finish(t *testing.T) {
	cfg := issueNow(t, t.TempDir())
	up, tarball, release := slowRegistry(t)
	larder, stop := launch(t, []string{"LARDER_TLS_CERT=" + cfg.Cert, "LARDER_TLS_KEY=" + cfg.Key}, serveArgs(t, up)...)
	res, err := secureClient(t, true, cfg.Cert).Get(larder.url() + "slow/-/slow-1.0.0.tgz")
	if err != nil || res.ProtoMajor != 2 {
		t.Fatal(res, err)
	}
	defer res.Body.Close()
	if _, err := io.ReadFull(res.Body, make([]byte, 100_000)); err != nil {
		t.Fatal(err)
	}
	stop()
	release()
	if rest, err := io.ReadAll(res.Body); err != nil || len(rest)+100_000 != len(tarball) {
		t.Errorf("the download ended after %d of %d bytes with %v", len(rest)+100_000, len(tarball), err)
	}
	if status := larder.exit(); status != exitOK {
		t.Errorf("exit status %d:\n%s", status, larder.output())
	}
}

func TestCertificateProblems(t *testing.T) {
	one, other := issueNow(t, t.TempDir()), issueNow(t, t.TempDir())
	text := write(t, "text.pem", "no PEM\n")
	tests := []struct{ name, cert, key, want string }{
		{"not its key", one.Cert, other.Key, ":1:7: tls.cert: " + one.Cert + " and " + other.Key + " are no certificate and its key: private key does not match public key"},
		{"no certificate", text, one.Key, ":1:7: tls.cert: " + text + " and " + one.Key + " are no certificate and its key: "},
		{"no key", one.Cert, text, ":1:7: tls.cert: "},
		{"exchanged", one.Key, one.Cert, ":1:7: tls.cert: "},
		{"a key that is not there", one.Cert, "absent.key", "tls.key: open absent.key: no such file or directory"},
		{"a directory", filepath.Dir(one.Cert), one.Key, ":1:7: tls.cert: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := write(t, "larder.yaml", "tls: {cert: '"+tt.cert+"', key: '"+tt.key+"'}\n")
			_, err := load(sources{file: file})
			var wrong problems
			if !errors.As(err, &wrong) || len(wrong) != 1 || !strings.Contains(wrong[0].String(), tt.want) {
				t.Errorf("problems %v, want %q", err, tt.want)
			}
		})
	}
}

// TestExpiredCertificate: the server works for those who do not care, and says
// what is wrong.
func TestExpiredCertificate(t *testing.T) {
	for _, tt := range []struct {
		name        string
		from, until time.Duration // from now
		want        string
	}{
		{"expired", -2 * time.Hour, -time.Hour, "the TLS certificate has expired on "},
		{"not good yet", time.Hour, 2 * time.Hour, "the TLS certificate is not good before "},
		{"about to expire", -80 * 24 * time.Hour, 2 * 24 * time.Hour, "the TLS certificate expires on "},
		{"short-lived", -time.Hour, 23 * time.Hour, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := issue(t, t.TempDir(), time.Now().Add(tt.from), time.Now().Add(tt.until))
			counters := metrics.New("test", "")
			c, err := newCertificate(cfg, counters, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			err = c.Run(context.Background())
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("health says %v, want %q", err, tt.want)
			}
			page := httptest.NewRecorder()
			counters.Handler().ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/", nil))
			if !strings.Contains(page.Body.String(), "larder_tls_certificate_expiry_timestamp_seconds 1.") {
				t.Error("the metrics do not say when it expires")
			}
		})
	}
}

// TestRenewals holds what happens when the files change: by a symbolic link to
// another directory, as Kubernetes and certbot do it, one after the other, or badly.
func TestRenewals(t *testing.T) {
	dir := t.TempDir()
	var dirs []string
	for _, name := range []string{"first", "second"} {
		dirs = append(dirs, filepath.Join(dir, name))
		if err := os.Mkdir(dirs[len(dirs)-1], 0o700); err != nil {
			t.Fatal(err)
		}
		issueNow(t, dirs[len(dirs)-1])
	}
	link := filepath.Join(dir, "data")
	point := func(to string) {
		t.Helper()
		os.Remove(link)
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	point(dirs[0])
	var log strings.Builder
	counters := metrics.New("test", "")
	c, err := newCertificate(TLSConfig{Cert: filepath.Join(link, "tls.crt"), Key: filepath.Join(link, "tls.key")}, counters, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	first := c.current.Load()
	look := func(what string, same bool, problem string) {
		t.Helper()
		before := c.current.Load()
		c.reload()
		if (c.current.Load() == before) != same {
			t.Errorf("%s: the same certificate is in use: %t", what, !same)
		}
		err := c.Run(context.Background())
		if (err == nil) != (problem == "") || err != nil && !strings.Contains(err.Error(), problem) {
			t.Errorf("%s: health says %v, want %q", what, err, problem)
		}
	}
	look("nothing", true, "")
	if log.Len() > 0 {
		t.Errorf("without need the log says %s", &log)
	}
	point(dirs[1])
	look("another link", false, "")
	if c.current.Load() == first || !strings.Contains(log.String(), "was renewed") {
		t.Errorf("the log says %s", &log)
	}
	renewed := issueNow(t, t.TempDir())
	if err := os.Rename(renewed.Cert, filepath.Join(dirs[1], "tls.crt")); err != nil {
		t.Fatal(err)
	}
	look("the certificate alone", true, "private key does not match")
	look("the certificate alone, again", true, "private key does not match")
	if n := strings.Count(log.String(), "cannot be renewed"); n != 1 {
		t.Errorf("the log says it %d times:\n%s", n, &log)
	}
	if err := os.Rename(renewed.Key, filepath.Join(dirs[1], "tls.key")); err != nil {
		t.Fatal(err)
	}
	look("the key as well", false, "")
	point(filepath.Join(dir, "nowhere"))
	look("no files", true, "no such file")
	point(dirs[1])
	look("the files again", true, "")
	point(dirs[0])
	look("the first ones", false, "")

	page := httptest.NewRecorder()
	counters.Handler().ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/", nil))
	for _, want := range []string{`larder_tls_certificate_loads_total{outcome="ok"} 3`, `larder_tls_certificate_loads_total{outcome="failed"} 2`} {
		if !strings.Contains(page.Body.String(), want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
}
