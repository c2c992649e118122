package auth

import (
	"fmt"
	"strings"

	"larder/npm"
)

const (
	maxUserName = 64 // bytes
	minPassword = 8  // bytes, of new passwords

	// maxPassword is where bcrypt stops reading, in bytes. Longer passwords
	// are refused: to cut them off would make two passwords one, and to hash
	// them beforehand would make an htpasswd file that no other program can
	// check.
	maxPassword = 72
)

// The principals that are no names. A user or group that was called so would
// get what a rule grants to everybody.
const (
	anyone        = "anyone"        // with credentials or without
	authenticated = "authenticated" // every user and every service token
)

// Admins is the group whose members may do everything.
const Admins = "admins"

// CheckUserName reports whether a new account may be called name: 1 to 64
// letters, digits and characters of "._-@+~", of which '.' and '-' do not come
// first, and no word that a rule gives a meaning of its own. Kind Invalid.
// Accounts that an htpasswd file from elsewhere brings along may break this.
func CheckUserName(name string) error {
	why := nameFault(name)
	if why == "" && (name == anyone || name == authenticated || name == Admins) {
		why = "access rules use that word for something else"
	}
	if why == "" {
		return nil
	}
	return &npm.Error{
		Kind: npm.Invalid, Op: "auth.CheckUserName",
		Msg: fmt.Sprintf("%.80q cannot be a user's name: %s", name, why),
	}
}

// nameFault returns why name cannot be a user, a group or a service, or "".
func nameFault(name string) string {
	switch {
	case name == "":
		return "it is empty"
	case len(name) > maxUserName:
		return fmt.Sprintf("it is over %d bytes", maxUserName)
	case name[0] == '-' || name[0] == '.':
		return "it starts with '-' or '.'"
	}
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-@+~", r) {
			return fmt.Sprintf("it has %q; letters, digits and ._-@+~ may stand there", r)
		}
	}
	return ""
}

// CheckPassword reports whether password may be a new one: 8 to 72 bytes. Kind
// Invalid.
func CheckPassword(password string) error {
	var why string
	switch {
	case len(password) < minPassword:
		why = fmt.Sprintf("A password has at least %d characters", minPassword)
	case len(password) > maxPassword:
		why = fmt.Sprintf("A password has at most %d bytes", maxPassword)
	default:
		return nil
	}
	return &npm.Error{Kind: npm.Invalid, Op: "auth.CheckPassword", Msg: why}
}
