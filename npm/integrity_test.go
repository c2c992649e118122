package npm

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"io"
	"strings"
	"testing"
)

const payload = "a tarball's bytes"

func sri(alg string, sum []byte) string {
	return alg + "-" + base64.StdEncoding.EncodeToString(sum)
}

func sha1Of(s string) string   { h := sha1.Sum([]byte(s)); return sri("sha1", h[:]) }
func sha256Of(s string) string { h := sha256.Sum256([]byte(s)); return sri("sha256", h[:]) }
func sha384Of(s string) string { h := sha512.Sum384([]byte(s)); return sri("sha384", h[:]) }
func sha512Of(s string) string { h := sha512.Sum512([]byte(s)); return sri("sha512", h[:]) }

func TestParseIntegrity(t *testing.T) {
	tests := []struct {
		what, sri string
		want      string // as String has it
	}{
		{"sha512", sha512Of(payload), sha512Of(payload)},
		{"sha384", sha384Of(payload), sha384Of(payload)},
		{"sha256", sha256Of(payload), sha256Of(payload)},
		{"sha1", sha1Of(payload), sha1Of(payload)},
		{"options are dropped", sha512Of(payload) + "?foo?bar", sha512Of(payload)},
		{"the strongest wins, whatever the order", sha1Of("x") + " " + sha512Of(payload) + " " + sha256Of("x"), sha512Of(payload)},
		{"sha384 over sha256", sha256Of("x") + " " + sha384Of(payload), sha384Of(payload)},
		{"alternatives", sha512Of("x") + " " + sha512Of(payload), sha512Of("x") + " " + sha512Of(payload)},
		{"any white space", "\n" + sha512Of("x") + "\t\r\n " + sha512Of(payload) + " ", sha512Of("x") + " " + sha512Of(payload)},
		{"unknown algorithms are skipped", "sha3_512-AAAA md5-AAAA " + sha1Of(payload), sha1Of(payload)},
		{"junk is skipped", "junk - " + sha256Of(payload), sha256Of(payload)},
		{"a broken alternative is skipped", "sha512-AAAA " + sha512Of(payload), sha512Of(payload)},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			got, err := ParseIntegrity(tt.sri)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if got.IsZero() {
				t.Error("IsZero")
			}
			v := got.Verifier()
			io.WriteString(v, payload)
			if err := v.Verify(); err != nil {
				t.Errorf("the right bytes: %v", err)
			}
			has := "" // of what is kept beside a tarball
			if sum := v.SHA512(); sum != nil {
				has = sri("sha512", sum)
			}
			if strong := strings.Contains(tt.want, "sha512"); strong && has != sha512Of(payload) || !strong && has != "" {
				t.Errorf("its SHA-512 is %q", has)
			}
		})
	}
}

func TestParseIntegrityRefuses(t *testing.T) {
	long := strings.Repeat(sha512Of(payload)+" ", maxIntegrity/len(sha512Of(payload))+1)
	tests := []struct{ what, sri string }{
		{"empty", ""},
		{"white space", " \n"},
		{"no algorithm", "abc"},
		{"an unknown algorithm alone", "md5-" + strings.Repeat("A", 24)},
		{"upper case", strings.Replace(sha512Of(payload), "sha512", "SHA512", 1)},
		{"no digest", "sha512-"},
		{"short", sha512Of(payload)[:40]},
		{"a sha256 called sha512", strings.Replace(sha256Of(payload), "sha256", "sha512", 1)},
		{"without padding", strings.TrimRight(sha512Of(payload), "=")},
		{"not base64", "sha1-" + strings.Repeat("!", 28)},
		{"broken sha512 does not fall back to sha1", "sha512-AAAA " + sha1Of(payload)},
		{"too long", long},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			got, err := ParseIntegrity(tt.sri)
			if KindOf(err) != Invalid || !got.IsZero() {
				t.Errorf("got %v, %v, want an error of kind %v", got, err, Invalid)
			}
		})
	}
}

func TestParseShasum(t *testing.T) {
	sum := sha1.Sum([]byte(payload))
	lower := hex.EncodeToString(sum[:])
	tests := []struct {
		what, shasum string
		ok           bool
	}{
		{"lower case", lower, true},
		{"upper case", strings.ToUpper(lower), true},
		{"empty", "", false},
		{"short", lower[:38], false},
		{"odd", lower[:39], false},
		{"long", lower + "00", false},
		{"not hexadecimal", "x" + lower[1:], false},
		{"a space", " " + lower, false},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			got, err := ParseShasum(tt.shasum)
			if !tt.ok {
				if KindOf(err) != Invalid || !got.IsZero() {
					t.Errorf("got %v, %v, want an error of kind %v", got, err, Invalid)
				}
				return
			}
			if err != nil || got.String() != sha1Of(payload) {
				t.Errorf("got %v, %v, want %s", got, err, sha1Of(payload))
			}
		})
	}
}

func TestVerifier(t *testing.T) {
	want, err := ParseIntegrity(sha512Of("other") + " " + sha512Of(payload))
	if err != nil {
		t.Fatal(err)
	}
	v := want.Verifier()
	if err := v.Verify(); KindOf(err) != BadUpstream {
		t.Errorf("nothing written: %v, want kind %v", err, BadUpstream)
	}
	io.WriteString(v, payload[:5])
	err = v.Verify()
	if KindOf(err) != BadUpstream {
		t.Errorf("half written: %v, want kind %v", err, BadUpstream)
	}
	for _, hash := range []string{sha512Of("other"), sha512Of(payload), sha512Of(payload[:5])} {
		if !strings.Contains(Message(err), hash) {
			t.Errorf("message %q does not name %s", Message(err), hash)
		}
	}
	io.WriteString(v, payload[5:])
	if err := v.Verify(); err != nil {
		t.Errorf("all written: %v", err)
	}
	io.WriteString(v, "!")
	if err := v.Verify(); KindOf(err) != BadUpstream {
		t.Errorf("too much written: %v, want kind %v", err, BadUpstream)
	}
}

func TestZeroIntegrity(t *testing.T) {
	var zero Integrity
	if !zero.IsZero() || zero.String() != "" {
		t.Errorf("the zero Integrity: IsZero %v, String %q", zero.IsZero(), zero)
	}
	defer func() {
		if recover() == nil {
			t.Error("its Verifier does not panic: bytes would pass unchecked")
		}
	}()
	zero.Verifier()
}

// What parses is stable, verifies no bytes but the named ones, and is never
// weaker than the strongest algorithm named.
func FuzzIntegrity(f *testing.F) {
	for _, s := range []string{"", "sha512-", "sha1-AAAA?x", sha512Of(payload) + "?a", sha1Of("") + " " + sha256Of(""), "sha512-AAAA " + sha1Of("")} {
		f.Add(s, payload)
	}
	f.Fuzz(func(t *testing.T, s, data string) {
		got, err := ParseIntegrity(s)
		if err != nil {
			if KindOf(err) != Invalid || !got.IsZero() {
				t.Fatalf("ParseIntegrity(%q) = %v, %v", s, got, err)
			}
			return
		}
		again, err := ParseIntegrity(got.String())
		if err != nil || again.String() != got.String() {
			t.Fatalf("%q gives %q, and that %q, %v", s, got, again, err)
		}
		digests := map[string]string{"sha512": sha512Of(data), "sha384": sha384Of(data), "sha256": sha256Of(data), "sha1": sha1Of(data)}
		alg, _, _ := strings.Cut(got.String(), "-")
		for _, field := range strings.Fields(s) {
			if name, _, ok := strings.Cut(field, "-"); ok && digests[name] != "" && len(digests[name]) > len(digests[alg]) {
				t.Fatalf("%q gives the weaker %q", s, got)
			}
		}
		v := got.Verifier()
		io.WriteString(v, data)
		want := strings.Contains(got.String(), digests[alg])
		if ok := v.Verify() == nil; ok != want {
			t.Fatalf("%q against %q: verified %v, want %v", s, data, ok, want)
		}
	})
}
