package proxy

import (
	"encoding/json"
	"net/http"

	"larder/auth"
	"larder/npm"
)

// profileView is what npm profile get prints. The members that are always the
// same are about what there is not: a second factor, verified addresses, and
// addresses from which alone an account may be used.
type profileView struct {
	TFA           *struct{} `json:"tfa"`
	Name          string    `json:"name"`
	Email         string    `json:"email"`
	EmailVerified bool      `json:"email_verified"`
	FullName      string    `json:"fullname"`
	Homepage      string    `json:"homepage"`
	Freenode      string    `json:"freenode"`
	Twitter       string    `json:"twitter"`
	GitHub        string    `json:"github"`
	Created       string    `json:"created"`
	Updated       string    `json:"updated"`
	CIDR          *struct{} `json:"cidr_whitelist"`
}

// profile answers GET /-/npm/v1/user.
func (s *Server) profile(x *exchange, r *http.Request) error {
	x.guarded = true
	if err := s.cfg.Auth.Person(x.caller, true); err != nil {
		return err
	}
	return s.sendProfile(x, r)
}

// sendProfile sends the profile as it is now.
func (s *Server) sendProfile(x *exchange, r *http.Request) error {
	p, err := s.cfg.Auth.Profile(r.Context(), x.caller.User)
	if err != nil {
		return err
	}
	return x.sendAccount(http.StatusOK, profileView{
		Name: p.Name, Email: p.Email, FullName: p.FullName, Homepage: p.Homepage,
		Freenode: p.Freenode, Twitter: p.Twitter, GitHub: p.GitHub,
		Created: timestamp(p.Created), Updated: timestamp(p.Updated),
	})
}

// setProfile answers POST /-/npm/v1/user, which changes what the body has and
// answers with the whole. npm profile set sends everything else along, too.
func (s *Server) setProfile(x *exchange, r *http.Request) error {
	x.guarded = true
	change, err := s.readProfileChange(x, r)
	if err != nil {
		s.note(x, "profile.set", x.caller.User, err)
		return err
	}
	if change.password != nil {
		err = s.changePassword(x, r, *change.password)
		s.note(x, "password.change", x.caller.User, err)
		if err != nil {
			return err
		}
	}
	if change.after != change.before {
		err = s.cfg.Auth.SetProfile(r.Context(), change.after)
		s.note(x, "profile.set", x.caller.User, err)
		if err != nil {
			return err
		}
	}
	return s.sendProfile(x, r)
}

// passwordChange is what npm profile set password sends.
type passwordChange struct{ Old, New string }

// profileChange is what a request is to change.
type profileChange struct {
	before, after auth.Profile
	password      *passwordChange // nil: not changed
}

// readProfileChange reads a setProfile's body. Null is the empty string: npm
// makes the one of the other.
func (s *Server) readProfileChange(x *exchange, r *http.Request) (profileChange, error) {
	if err := s.cfg.Auth.Person(x.caller, false); err != nil {
		return profileChange{}, err
	}
	body, err := accountBody(x, r)
	if err != nil {
		return profileChange{}, err
	}
	before, err := s.cfg.Auth.Profile(r.Context(), x.caller.User)
	if err != nil {
		return profileChange{}, err
	}
	change := profileChange{before: before, after: before}
	var tfa json.RawMessage
	p := &change.after
	err = takeMembers(body, map[string]any{
		"email": &orNull{&p.Email}, "fullname": &orNull{&p.FullName}, "homepage": &orNull{&p.Homepage},
		"freenode": &orNull{&p.Freenode}, "twitter": &orNull{&p.Twitter}, "github": &orNull{&p.GitHub},
		"password": &change.password, "tfa": &tfa,
	})
	if err == nil && tfa != nil && string(tfa) != "null" {
		err = &npm.Error{Kind: npm.Invalid, Op: "proxy.setProfile", Msg: "this server does not have two-factor authentication yet"}
	}
	return change, err
}

// orNull decodes a JSON string, or null as the empty one.
type orNull struct{ text *string }

func (n *orNull) UnmarshalJSON(raw []byte) error {
	*n.text = ""
	return json.Unmarshal(raw, n.text)
}

// changePassword also revokes every token, that of the request among them: who
// changes a password may do it because somebody else knows it. npm prints the
// notice.
func (s *Server) changePassword(x *exchange, r *http.Request, p passwordChange) error {
	err := s.cfg.Auth.ChangePassword(r.Context(), x.caller.User, p.Old, p.New, x.client)
	if err != nil {
		return passwordFault(x, err)
	}
	x.Header().Set("npm-notice", "The password is changed, and all tokens of this account are revoked: log in again.")
	return nil
}
