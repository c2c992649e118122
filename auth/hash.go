package auth

import (
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/GehirnInc/crypt"
	"github.com/GehirnInc/crypt/apr1_crypt"
	"github.com/GehirnInc/crypt/md5_crypt"
	"github.com/GehirnInc/crypt/sha256_crypt"
	"github.com/GehirnInc/crypt/sha512_crypt"
	"golang.org/x/crypto/bcrypt"
)

const (
	// maxCost and maxRounds bound what one line of an htpasswd file from
	// elsewhere can cost per login: about two seconds of one core.
	maxCost   = 15
	maxRounds = 1_000_000
)

// isBcrypt reports whether a hash is of the kind that we write.
func isBcrypt(hash string) bool {
	for _, prefix := range []string{"$2a$", "$2b$", "$2y$"} {
		if strings.HasPrefix(hash, prefix) {
			return true
		}
	}
	return false
}

// matches reports whether hash is password's, for each of the formats that
// Apache's htpasswd and Verdaccio have ever written; plain text is none of
// them. A hash that it does not understand matches nothing.
func matches(hash, password string) bool {
	switch {
	case isBcrypt(hash):
		return matchesBcrypt(hash, password)
	case strings.HasPrefix(hash, "{SHA}"):
		sum := sha1.Sum([]byte(password))
		return equal("{SHA}"+base64.StdEncoding.EncodeToString(sum[:]), hash)
	case strings.HasPrefix(hash, "$apr1$"):
		return matchesCrypt(apr1_crypt.New(), hash, password)
	case strings.HasPrefix(hash, "$1$"):
		return matchesCrypt(md5_crypt.New(), hash, password)
	case strings.HasPrefix(hash, "$5$"):
		return matchesCrypt(sha256_crypt.New(), hash, password)
	case strings.HasPrefix(hash, "$6$"):
		return matchesCrypt(sha512_crypt.New(), hash, password)
	case isDESCrypt(hash):
		return equal(desCrypt(password, hash[:2]), hash)
	}
	return false
}

// matchesBcrypt is false for passwords of which bcrypt would read a part only:
// see maxPassword.
func matchesBcrypt(hash, password string) bool {
	cost, err := bcrypt.Cost([]byte(hash))
	if err != nil || cost > maxCost || len(password) > maxPassword {
		return false
	}
	return bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil
}

func matchesCrypt(c crypt.Crypter, hash, password string) bool {
	if _, param, ok := strings.Cut(hash, "$rounds="); ok {
		digits, _, _ := strings.Cut(param, "$")
		if n, err := strconv.Atoi(digits); err != nil || n > maxRounds {
			return false
		}
	}
	return c.Verify(hash, []byte(password)) == nil
}

// equal compares two secrets in a time that tells nothing but their lengths.
func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
