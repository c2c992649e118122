package auth

import (
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

const horse = "correct horse battery staple"

// The hashes are glibc's (perl and Python's crypt) and openssl passwd's.
func TestMatches(t *testing.T) {
	tests := []struct{ name, hash, password string }{
		{"bcrypt 2a", "$2a$04$abcdefghijklmnopqrstuuwHJMEGjfAzmL1lWmUmlphguIbWfjYey", "hello"},
		{"bcrypt 2b", "$2b$04$abcdefghijklmnopqrstuuwHJMEGjfAzmL1lWmUmlphguIbWfjYey", "hello"},
		{"bcrypt 2y", "$2y$04$abcdefghijklmnopqrstuuwHJMEGjfAzmL1lWmUmlphguIbWfjYey", "hello"},
		{"SHA", "{SHA}qvTGHdzF6KLavt4PO0gs2a6pQ00=", "hello"},
		{"apr1", "$apr1$r31.....$Prb4tYwE.sLGuMXoppxOX0", "hello"},
		{"apr1, long", "$apr1$abcdefgh$5MT.bUwCwhCf2blpqTwiG/", horse},
		{"md5-crypt", "$1$saltsalt$fFhQNRZ9A4AYLdo7vOe8a0", "hello"},
		{"md5-crypt, empty", "$1$ab$rn6aQS/o7141mj179E/zA.", ""},
		{"sha256-crypt", "$5$saltstring$hixOXgchwauyzVtlSM/e7UnQx0qiTk74JE/YU53IbE0", horse},
		{"sha256-crypt, rounds", "$5$rounds=10000$saltstringsaltst$WftHDNxn.SX3hVG8hZN4oIioS2Unwh6pmjiyfeda0i8", "hello"},
		{"sha512-crypt", "$6$saltstring$FAGYDyoYriJZZozrqxKlj3e8sB/i7oiBKr0IsSILeeFjOstTzTN7VBrJXtFNTHuRzUnhy.z43X6Jd3KbHZ.me/", "hello"},
		{"sha512-crypt, rounds", "$6$rounds=1400$anotherlongsalts$DY8ofsHFwr6qUPLa1CEoQGwXJoRil1PKmXBbSOenTcLcsBy4jAfIOZdnnEP.DV9c9SkLwknNyyn0xLnV6Ykmu1", horse},
		{"DES", "abl0JrMf6tlhw", "hello"},
		{"DES, empty", "..X8NBuQ4l6uQ", ""},
		{"DES, eight bytes count", "zZbwUvsNVJ9FY", horse},
		{"DES, one byte", "/9qm2x5hqRcVw", "a"},
		{"DES, seven bits count", "XyxhPo6VK/4fg", "päss"},
		{"DES, exactly eight", "K.ktGvoOpufbc", "12345678"},
		{"DES, nine", "K.ktGvoOpufbc", "123456789"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if !matches(tt.hash, tt.password) {
				t.Errorf("%s does not match %q", tt.hash, tt.password)
			}
			for _, wrong := range []string{"Hello", "x" + tt.password, "hell", "  "} {
				if matches(tt.hash, wrong) {
					t.Errorf("%s matches %q", tt.hash, wrong)
				}
			}
			// A hash that lost its end, or its beginning.
			if matches(tt.hash[:len(tt.hash)-1], tt.password) || matches(tt.hash[1:], tt.password) {
				t.Errorf("a part of %s matches", tt.hash)
			}
		})
	}
}

func TestMatchesNothing(t *testing.T) {
	long := strings.Repeat("p", maxPassword)
	cut, err := bcrypt.GenerateFromPassword([]byte(long), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	if !matches(string(cut), long) {
		t.Error("the longest password is refused")
	}
	tests := []struct{ name, hash, password string }{
		{"nothing", "", ""},
		{"plain text", "hello", "hello"},
		{"plain text of 13 bytes", "hellohellohel", "hellohellohel"},
		{"an unknown format", "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA", "hello"},
		{"bcrypt's broken ancestor", "$2x$04$abcdefghijklmnopqrstuuwHJMEGjfAzmL1lWmUmlphguIbWfjYey", "hello"},
		{"bcrypt that takes a day", "$2y$31$abcdefghijklmnopqrstuuwHJMEGjfAzmL1lWmUmlphguIbWfjYey", "hello"},
		{"bcrypt without a hash", "$2y$04$", "hello"},
		{"bcrypt, what it would not read", string(cut), long + "p"},
		{"sha512-crypt that takes a day", "$6$rounds=999999999$salt$x", "hello"},
		{"sha512-crypt, rounds that are no number", "$6$rounds=$salt$x", "hello"},
		{"sha512-crypt, salt only", "$6$", "hello"},
		{"md5-crypt, bare", "$1$", ""},
		{"SHA, bare", "{SHA}", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if matches(tt.hash, tt.password) {
				t.Errorf("%s matches %q", tt.hash, tt.password)
			}
		})
	}
}

// FuzzMatches looks for a line that crashes the server.
func FuzzMatches(f *testing.F) {
	for _, hash := range []string{"", "$6$$$", "$5$rounds=5$", "$1$", "$apr1$$", "{SHA}", "ab", "abl0JrMf6tlhw", "$2y$04$"} {
		f.Add(hash, "hello")
	}
	f.Fuzz(func(t *testing.T, hash, password string) {
		if len(hash) > 200 || len(password) > 200 || strings.Contains(hash, "rounds=") || isBcrypt(hash) {
			t.Skip() // slow by design
		}
		if matches(hash, password) && hash != "{SHA}" && len(hash) < desCryptLen {
			t.Errorf("%q matches %q", hash, password)
		}
	})
}
