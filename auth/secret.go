package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"hash/crc32"
	"math/big"
	"strings"
)

// A token's secret is "larder_", 256 random bits in 43 digits, and their
// checksum in 6. The prefix is for programs that look for secrets where none
// should be, the checksum tells them, and us, a token from a typing error
// without a look at the disk.
const (
	secretPrefix   = "larder_"
	secretDigits   = 43 // 62^43 is just over 2^256
	checksumDigits = 6  // 62^6 is over 2^32

	secretLen = len(secretPrefix) + secretDigits + checksumDigits

	// shownLen is how much of a secret a list of tokens shows: npm token
	// revoke finds a token by it. What is not shown are 230 bits.
	shownLen = len(secretPrefix) + 4
)

const base62Digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// newSecret makes a token's secret.
func newSecret() string {
	var bits [32]byte
	rand.Read(bits[:]) // never fails: it would crash the program
	body := secretPrefix + base62(new(big.Int).SetBytes(bits[:]), secretDigits)
	return body + checksum(body)
}

// checkSecret reports whether s has the form of a secret of ours.
func checkSecret(s string) bool {
	if len(s) != secretLen || !strings.HasPrefix(s, secretPrefix) || strings.Trim(s[len(secretPrefix):], base62Digits) != "" {
		return false
	}
	body := s[:secretLen-checksumDigits]
	return equal(checksum(body), s[len(body):])
}

func checksum(body string) string {
	sum := crc32.ChecksumIEEE([]byte(body))
	return base62(new(big.Int).SetUint64(uint64(sum)), checksumDigits)
}

// base62 returns n in so many digits.
func base62(n *big.Int, digits int) string {
	out := make([]byte, digits)
	base, digit := big.NewInt(int64(len(base62Digits))), new(big.Int)
	for i := digits - 1; i >= 0; i-- {
		n.DivMod(n, base, digit)
		out[i] = base62Digits[digit.Int64()]
	}
	return string(out)
}

// keyOf returns the name under which a secret's token is kept. The secret
// cannot be found from it, and needs no salt: nobody can guess 256 bits.
func keyOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
