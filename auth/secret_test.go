package auth

import (
	"crypto/sha256"
	"encoding/hex"
	"hash/crc32"
	"math/big"
	"strings"
	"testing"
)

func TestSecret(t *testing.T) {
	seen := map[string]bool{}
	for range 200 {
		s := newSecret()
		if !checkSecret(s) || seen[s] {
			t.Fatalf("%q is malformed or not new", s)
		}
		seen[s] = true
		if len(s) != 56 || !strings.HasPrefix(s, "larder_") {
			t.Fatalf("%q is not larder_ and 49 digits", s)
		}
	}
}

// What a typing hand or a line break does to a secret, the checksum finds.
func TestSecretWithAMistake(t *testing.T) {
	s := newSecret()
	for i := range s {
		for _, c := range base62Digits {
			if typo := s[:i] + string(c) + s[i+1:]; typo != s && checkSecret(typo) {
				t.Errorf("digit %d may be %c", i, c)
			}
		}
		if i > 0 {
			if swapped := s[:i-1] + s[i:i+1] + s[i-1:i] + s[i+1:]; swapped != s && checkSecret(swapped) {
				t.Errorf("digits %d and %d may be swapped", i-1, i)
			}
		}
	}
	for _, bad := range []string{"", "larder_", s + "0", s[1:], s[:len(s)-1], " " + s, s + "\n", strings.ToUpper(s), "npm_" + s[4:], strings.Replace(s, "_", "-", 1)} {
		if checkSecret(bad) {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestBase62(t *testing.T) {
	tests := []struct {
		n      int64
		digits int
		want   string
	}{{0, 3, "000"}, {61, 2, "0z"}, {62, 2, "10"}, {62*62 - 1, 2, "zz"}}
	for _, tt := range tests {
		if got := base62(big.NewInt(tt.n), tt.digits); got != tt.want {
			t.Errorf("base62(%d, %d) = %s, want %s", tt.n, tt.digits, got, tt.want)
		}
	}
	// The digits hold the largest secret and the largest checksum.
	limit := new(big.Int).Exp(big.NewInt(62), big.NewInt(secretDigits), nil)
	if limit.BitLen() <= 256 {
		t.Errorf("%d digits hold less than 256 bits", secretDigits)
	}
	limit.Exp(big.NewInt(62), big.NewInt(checksumDigits), nil)
	if limit.BitLen() <= 32 {
		t.Errorf("%d digits hold less than 32 bits", checksumDigits)
	}
}

// Secret scanners check this form: it can never change.
func TestSecretFormatIsFixed(t *testing.T) {
	const body = "larder_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg"
	if got := body + checksum(body); got != body+base62(big.NewInt(int64(crc32.ChecksumIEEE([]byte(body)))), 6) || !checkSecret(got) {
		t.Errorf("%s does not end in the CRC-32 (IEEE) of what is before it", got)
	}
	sum := sha256.Sum256([]byte(body))
	if got := keyOf(body); got != hex.EncodeToString(sum[:]) || !isKey(got) {
		t.Errorf("key is %s", got)
	}
	for _, bad := range []string{"", "..", strings.Repeat("A", 64), strings.Repeat("a", 63), strings.Repeat("a", 62) + "/a"} {
		if isKey(bad) {
			t.Errorf("%q is a key", bad)
		}
	}
}

// FuzzTokenFormat: what is accepted is exactly what newSecret could have made.
func FuzzTokenFormat(f *testing.F) {
	f.Add(newSecret())
	f.Add("larder_" + strings.Repeat("0", 49))
	f.Add("Bearer x")
	f.Fuzz(func(t *testing.T, s string) {
		if !checkSecret(s) {
			return
		}
		body := s[:len(s)-checksumDigits]
		if len(s) != secretLen || body+checksum(body) != s {
			t.Errorf("%q is accepted", s)
		}
		if strings.Trim(s[len(secretPrefix):], base62Digits) != "" {
			t.Errorf("%q has other digits", s)
		}
	})
}
