package registry

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

func TestTarball(t *testing.T) {
	s := start(t, Config{})
	doc := gjson.GetBytes(ask(t, s, "@types%2fms").body, `versions.2\.1\.0.dist`)
	path := strings.TrimPrefix(doc.Get("tarball").String(), s.URL())
	whole := ask(t, s, path)
	sum := sha512.Sum512(whole.body)
	if got := "sha512-" + base64.StdEncoding.EncodeToString(sum[:]); got != doc.Get("integrity").String() {
		t.Errorf("integrity %s, document says %s", got, doc.Get("integrity"))
	}
	for name, value := range map[string]string{
		"Content-Type":     "application/octet-stream",
		"Cache-Control":    "public, immutable, max-age=31557600",
		"Accept-Ranges":    "bytes",
		"Content-Encoding": "",
	} {
		if got := whole.Header.Get(name); got != value {
			t.Errorf("%s: %s, want %s", name, got, value)
		}
	}
	if again := ask(t, s, strings.Replace(path, "/", "%2f", 1)); !bytes.Equal(again.body, whole.body) {
		t.Error("another spelling, other bytes")
	}
	part := ask(t, s, path, "Range: bytes=10-19")
	if part.StatusCode != http.StatusPartialContent || !bytes.Equal(part.body, whole.body[10:20]) {
		t.Errorf("range: %d, %d bytes", part.StatusCode, len(part.body))
	}
	rest := ask(t, s, path, "Range: bytes=10-", "If-Range: "+whole.Header.Get("ETag"))
	if rest.StatusCode != http.StatusPartialContent || !bytes.Equal(rest.body, whole.body[10:]) {
		t.Errorf("if-range: %d, %d bytes", rest.StatusCode, len(rest.body))
	}
}

func TestSameBytesEachTime(t *testing.T) {
	p := Package{Name: "a", Version: "1.0.0", Filler: 10_000, Files: map[string]string{"b.js": "1", "a.js": "2"}}
	one, two := start(t, Config{}, p), start(t, Config{}, p)
	if !bytes.Equal(ask(t, one, "a/-/a-1.0.0.tgz").body, ask(t, two, "a/-/a-1.0.0.tgz").body) {
		t.Error("the same package has two tarballs")
	}
}

func TestSignature(t *testing.T) {
	s := start(t, Config{})
	version := gjson.ParseBytes(ask(t, s, "is-odd/latest").body)
	key := gjson.GetBytes(ask(t, s, "-/npm/v1/keys").body, "keys.0")
	der, err := base64.StdEncoding.DecodeString(key.Get("key").String())
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		t.Fatal(err)
	}
	if id := version.Get("dist.signatures.0.keyid").String(); id != key.Get("keyid").String() {
		t.Errorf("signed by %s", id)
	}
	sig, err := base64.StdEncoding.DecodeString(version.Get("dist.signatures.0.sig").String())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte("is-odd@3.0.1:" + version.Get("dist.integrity").String()))
	if !ecdsa.VerifyASN1(public.(*ecdsa.PublicKey), sum[:], sig) {
		t.Error("the signature is wrong")
	}
}
