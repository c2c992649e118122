package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"strings"
	"sync"
	"testing"
)

// TestSign verifies a signature as npm does: pacote lib/registry.js.
func TestSign(t *testing.T) {
	a := open(t, Config{})
	const message = "@acme/lib@1.0.0:sha512-AAAA"
	keyID, signature, err := a.Sign(message)
	if err != nil {
		t.Fatal(err)
	}
	public := a.PublicKey()
	der, err := base64.StdEncoding.DecodeString(public.Key)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	if want := "SHA256:" + base64.StdEncoding.EncodeToString(sum[:]); keyID != want || public.KeyID != want {
		t.Errorf("the key's id is %s and %s, want %s", keyID, public.KeyID, want)
	}
	sig, err := base64.StdEncoding.DecodeString(signature)
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256([]byte(message))
	if !ecdsa.VerifyASN1(key.(*ecdsa.PublicKey), hash[:], sig) {
		t.Error("the signature does not verify")
	}
	raw, err := json.Marshal(public)
	if want := `{"expires":null,"keyid":"` + keyID + `","keytype":"ecdsa-sha2-nistp256","scheme":"ecdsa-sha2-nistp256","key":"` + public.Key + `"}`; err != nil || string(raw) != want {
		t.Errorf("it is written %s, want %s: %v", raw, want, err)
	}
	if again := open(t, Config{Dir: a.disk.root}); again.PublicKey() != public {
		t.Error("the next start has another key")
	}
	if fi, err := os.Stat(a.disk.path(keyFile)); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v: %v", fi.Mode(), err)
	}
}

func TestKeyIsMadeOnce(t *testing.T) {
	dir := t.TempDir()
	keys := make([]PublicKey, 8)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			a, err := Open(Config{Dir: dir})
			if err != nil {
				t.Error(err)
				return
			}
			keys[i] = a.PublicKey()
		})
	}
	wg.Wait()
	for _, key := range keys {
		if key != keys[0] || key.Key == "" {
			t.Errorf("two keys: %v and %v", key, keys[0])
		}
	}
}

func TestDamagedKeyIsNotReplaced(t *testing.T) {
	good := open(t, Config{})
	raw := read(t, good.disk.path(keyFile))
	_, ed, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(ed)
	if err != nil {
		t.Fatal(err)
	}
	for name, damaged := range map[string]string{
		"empty":        "",
		"cut off":      raw[:len(raw)/2],
		"no key":       string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")})),
		"another kind": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	} {
		t.Run(name, func(t *testing.T) {
			a := open(t, Config{})
			path := a.disk.path(keyFile)
			if err := os.WriteFile(path, []byte(damaged), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(Config{Dir: a.disk.root}); err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("Open: %v, want an error that names the file", err)
			}
			if got := read(t, path); got != damaged {
				t.Errorf("the file was changed to %q", got)
			}
		})
	}
}
