package registry

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
)

// signer holds the registry's key pair, new for each server.
type signer struct {
	private *ecdsa.PrivateKey
	public  string // base64 of the SubjectPublicKeyInfo
	keyID   string // SHA256:… of it
}

func newSigner() (signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return signer{}, err
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return signer{}, err
	}
	sum := sha256.Sum256(der)
	return signer{
		private: key,
		public:  base64.StdEncoding.EncodeToString(der),
		keyID:   "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:]),
	}, nil
}

func (s signer) sign(message string) ([]byte, error) {
	sum := sha256.Sum256([]byte(message))
	return ecdsa.SignASN1(rand.Reader, s.private, sum[:])
}

// Keys is the document that the registry serves at /-/npm/v1/keys.
func (s *Server) Keys() string {
	return fmt.Sprintf(`{"keys":[{"expires":null,"keyid":%s,"keytype":"ecdsa-sha2-nistp256","scheme":"ecdsa-sha2-nistp256","key":%s}]}`,
		quote(s.keyID), quote(s.public))
}

// attestations is the answer of /-/npm/v1/attestations/NAME@VERSION. The
// bundles have the right shape and no meaning: nobody could verify them
// without the public transparency log.
func attestations(r *release) string {
	bundle := func(predicate string) string {
		payload := base64.StdEncoding.EncodeToString([]byte(fmt.Sprintf(
			`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"pkg:npm/%s@%s"}],"predicateType":%q}`, r.Name, r.Version, predicate)))
		return fmt.Sprintf(`{"predicateType":%q,"bundle":{"mediaType":"application/vnd.dev.sigstore.bundle+json;version=0.2",`+
			`"verificationMaterial":{},"dsseEnvelope":{"payloadType":"application/vnd.in-toto+json","payload":%q,"signatures":[]}}}`, predicate, payload)
	}
	return `{"attestations":[` + bundle("https://github.com/npm/attestation/tree/main/specs/publish/v0.1") + "," + bundle(provenance) + `]}`
}

const provenance = "https://slsa.dev/provenance/v1"
