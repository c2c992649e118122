package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"larder/npm"
)

// Profile is what users say about themselves. All of it may be empty but Name.
type Profile struct {
	Name     string    `json:"name"`
	Email    string    `json:"email,omitempty"`
	FullName string    `json:"fullname,omitempty"`
	Homepage string    `json:"homepage,omitempty"`
	Twitter  string    `json:"twitter,omitempty"`
	GitHub   string    `json:"github,omitempty"`
	Freenode string    `json:"freenode,omitempty"`
	Created  time.Time `json:"created,omitzero"` // zero: of an htpasswd file from elsewhere
	Updated  time.Time `json:"updated,omitzero"`
}

const (
	maxProfileField = 500 // bytes
	maxProfile      = 64 << 10
)

// profilePath returns the file of a user's profile. Names that differ in case
// alone are two files on every file system, and no name is a path.
func (a *Auth) profilePath(user string) string {
	var b strings.Builder
	for _, c := range []byte(user) {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', strings.IndexByte("_-@+~.", c) >= 0:
			b.WriteByte(c)
		case 'A' <= c && c <= 'Z':
			b.WriteByte('!')
			b.WriteByte(c - 'A' + 'a')
		default:
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	return a.disk.path("profiles", b.String()+".json")
}

// Exists reports whether there is an account called user.
func (a *Auth) Exists(user string) bool {
	known, err := a.accounts.current()
	if err != nil {
		a.log.Error("the accounts cannot be read", "error", err)
		return false
	}
	_, ok := known.hash(user)
	return ok
}

// Profile returns a user's profile. fs.ErrNotExist: there is no such user.
func (a *Auth) Profile(_ context.Context, user string) (Profile, error) {
	known, err := a.accounts.current()
	if err != nil {
		return Profile{}, wrap("Profile", err)
	}
	if _, ok := known.hash(user); !ok {
		return Profile{}, noUser(user)
	}
	return a.readProfile(user)
}

// readProfile reads the profile of a user who exists.
func (a *Auth) readProfile(user string) (Profile, error) {
	p := Profile{Name: user}
	raw, _, err := readFile(a.profilePath(user), maxProfile)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &p)
	}
	if err != nil {
		return Profile{}, wrap("Profile "+user, err)
	}
	p.Name = user
	return p, nil
}

func (a *Auth) writeProfile(p Profile) error {
	raw, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return a.disk.replace(a.profilePath(p.Name), append(raw, '\n'))
}

// SetProfile changes everything of p.Name's profile but Created and Updated.
// Kinds: Invalid, NotFound.
func (a *Auth) SetProfile(ctx context.Context, p Profile) error {
	for _, field := range []string{p.Email, p.FullName, p.Homepage, p.Twitter, p.GitHub, p.Freenode} {
		if len(field) > maxProfileField || !plain(field) {
			return &npm.Error{
				Kind: npm.Invalid, Op: "auth.SetProfile",
				Msg: fmt.Sprintf("What a profile says is one line of at most %d bytes each", maxProfileField),
			}
		}
	}
	// Beside an edit, the profile of a user who is being removed could stay.
	err := a.accounts.edit(ctx, func(h *htpasswd) (*htpasswd, error) {
		if _, ok := h.hash(p.Name); !ok {
			return nil, noUser(p.Name)
		}
		old, err := a.readProfile(p.Name)
		if err != nil {
			return nil, err
		}
		p.Created, p.Updated = old.Created, a.now()
		return h, a.writeProfile(p)
	})
	return wrap("SetProfile", err)
}

// Users returns the profiles of all accounts, by name.
func (a *Auth) Users(ctx context.Context) ([]Profile, error) {
	known, err := a.accounts.current()
	if err != nil {
		return nil, wrap("Users", err)
	}
	users := make([]Profile, 0, len(known.accounts))
	for name := range known.accounts {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		p, err := a.readProfile(name)
		if err != nil {
			return nil, err
		}
		users = append(users, p)
	}
	slices.SortFunc(users, func(x, y Profile) int { return strings.Compare(x.Name, y.Name) })
	return users, nil
}
