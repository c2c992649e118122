package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
)

const (
	keyFile    = "signing-key.pem"
	maxKeyFile = 64 << 10 // bytes
	keyScheme  = "ecdsa-sha2-nistp256"
)

// PublicKey is an entry of /-/npm/v1/keys, what npm audit signatures checks with.
type PublicKey struct {
	Expires *string `json:"expires"` // never: null
	KeyID   string  `json:"keyid"`
	KeyType string  `json:"keytype"`
	Scheme  string  `json:"scheme"`
	Key     string  `json:"key"` // base64 of the key in DER
}

// openKey reads the key that signs the packages published here, or makes it. A
// key that cannot be read is an error and is never replaced: what it has
// signed could not be verified any more.
func openKey(d disk) (*ecdsa.PrivateKey, error) {
	key, err := readKey(d)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	unlock, err := d.lock(context.Background()) // of two processes one makes it
	if err != nil {
		return nil, err
	}
	defer unlock()
	if key, err = readKey(d); !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, d.replace(d.path(keyFile), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func readKey(d disk) (*ecdsa.PrivateKey, error) {
	raw, _, err := readFile(d.path(keyFile), maxKeyFile)
	if err != nil {
		return nil, err
	}
	damaged := func(why string) error {
		return fmt.Errorf("%s is damaged (%s): put it back from a backup; without it what it has signed cannot be verified",
			d.path(keyFile), why)
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, damaged("no PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, damaged(err.Error())
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, damaged("it is not for ECDSA on P-256")
	}
	return key, nil
}

func publicKey(key *ecdsa.PrivateKey) (PublicKey, error) {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return PublicKey{}, err
	}
	sum := sha256.Sum256(der)
	return PublicKey{
		KeyID:   "SHA256:" + base64.StdEncoding.EncodeToString(sum[:]),
		KeyType: keyScheme,
		Scheme:  keyScheme,
		Key:     base64.StdEncoding.EncodeToString(der),
	}, nil
}

// PublicKey returns the key that verifies what Sign has signed.
func (a *Auth) PublicKey() PublicKey { return a.publicKey }

// Sign signs a message, which of a published version is NAME@VERSION:INTEGRITY.
// The signature is base64 of ASN.1, as in dist.signatures.
func (a *Auth) Sign(message string) (keyID, signature string, err error) {
	sum := sha256.Sum256([]byte(message))
	sig, err := ecdsa.SignASN1(rand.Reader, a.key, sum[:])
	if err != nil {
		return "", "", wrap("Sign", err)
	}
	return a.publicKey.KeyID, base64.StdEncoding.EncodeToString(sig), nil
}
