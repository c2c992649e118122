package test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"larder/test/registry"
	"larder/test/rig"
)

// issueCertificate writes a certificate for 127.0.0.1, its key, and the authority
// that has signed it. Some clients take no certificate that is its own authority.
func issueCertificate(t *testing.T) (cert, key, ca string) {
	t.Helper()
	dir := t.TempDir()
	writePEM := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	newKey := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	from, until := time.Now().Add(-time.Hour), time.Now().Add(30*24*time.Hour)
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority of a test"}, NotBefore: from, NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "larder"}, NotBefore: from, NotAfter: until,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	rootKey, leafKey := newKey(), newKey()
	sign := func(what *x509.Certificate, key *ecdsa.PrivateKey) []byte {
		der, err := x509.CreateCertificate(rand.Reader, what, root, key.Public(), rootKey)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	secret, err := x509.MarshalPKCS8PrivateKey(leafKey)
	if err != nil {
		t.Fatal(err)
	}
	return writePEM("tls.crt", "CERTIFICATE", sign(leaf, leafKey)), writePEM("tls.key", "PRIVATE KEY", secret), writePEM("ca.crt", "CERTIFICATE", sign(root, rootKey))
}

// TestTLS has real clients install from a Larder that speaks TLS.
func TestTLS(t *testing.T) {
	r := rig.New(t, rig.Config{})
	r.Add(t, registry.Package{Name: "leaf", Version: "1.0.0", Filler: 300 << 10}, registry.Package{Name: "root", Version: "2.0.0", Manifest: `{"dependencies":{"leaf":"^1.0.0"}}`})
	r.Stop(t)
	cert, key, ca := issueCertificate(t)
	r.Configure([]string{"LARDER_TLS_CERT=" + cert, "LARDER_TLS_KEY=" + key}, nil)
	r.StartTLS(t, ca)

	t.Run("Go", func(t *testing.T) {
		resp, body, err := r.Fetch(t.Context(), r.Base+"root/-/root-2.0.0.tgz")
		if err != nil || resp.Proto != "HTTP/2.0" || resp.StatusCode != http.StatusOK || len(body) == 0 {
			t.Errorf("%v, %v, %d bytes", resp, err, len(body))
		}
	})
	t.Run("curl", func(t *testing.T) {
		curl, err := exec.LookPath("curl")
		if err != nil {
			rig.Lacks(t, "there is no curl")
		}
		out, err := exec.CommandContext(t.Context(), curl, "--silent", "--http2", "--cacert", ca, "-o", os.DevNull, "-w", "%{http_code} %{http_version}", r.Base+"root").CombinedOutput()
		if err != nil || string(out) != "200 2" && string(out) != "200 1.1" { // some are built without HTTP/2
			t.Errorf("%s, %v", out, err)
		}
	})
	if testing.Short() {
		return
	}
	for _, name := range []string{"npm-11", "pnpm-12"} {
		t.Run(name, func(t *testing.T) {
			c := r.NewClient(t, name, `{"name":"app","version":"1.0.0","dependencies":{"root":"2.0.0"}}`)
			if err := os.WriteFile(filepath.Join(c.Dir, ".npmrc"), []byte("cafile="+ca+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			if out, err := c.Run(t.Context(), c.Install...); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if lock, err := os.ReadFile(filepath.Join(c.Dir, c.Lockfile)); err != nil || !strings.Contains(string(lock), "leaf") {
				t.Errorf("the lockfile: %v\n%s", err, lock)
			}
			if _, err := os.Stat(filepath.Join(c.Dir, "node_modules", "root", "package.json")); err != nil {
				t.Error(err)
			}
		})
	}
}
