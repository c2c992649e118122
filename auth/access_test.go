package auth

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/metrics"
	"larder/npm"
)

// TestCheck walks every action by every kind of caller.
func TestCheck(t *testing.T) {
	a := open(t, Config{
		Groups: map[string][]string{"admins": {"root"}, "web-team": {"bob"}, "ci": nil},
		Rules: []Rule{
			{Match: "@acme/secret", Read: []string{"alice"}},
			{Match: "@acme/*", Read: []string{"authenticated"}, Publish: []string{"web-team", "alice", "ci"}, Unpublish: []string{"admins"}},
			{Match: "@open/*", Read: []string{"anyone"}, Publish: []string{"anyone"}, Unpublish: []string{"authenticated"}},
			{Match: "*", Read: []string{"anyone"}, Publish: []string{"authenticated"}},
		},
	})
	service := func(groups ...string) Caller { return Caller{Token: &Token{Service: "bot", Groups: groups}} }
	limited := func(user string, t Token) Caller { t.User = user; return Caller{User: user, Token: &t} }
	acme := []string{"@acme/*"}
	callers := map[string]Caller{
		"nobody":     {},
		"bad token":  {Fault: noCredentials("bad")},
		"wrong CIDR": {Fault: &npm.Error{Kind: npm.Forbidden, Msg: "not from here"}},
		"throttled":  {Fault: tooManyFailures(time.Minute)},
		"carol":      {User: "carol"},
		"alice":      {User: "alice"},
		"bob":        {User: "bob"},
		"root":       {User: "root"},
		"service":    service(),
		"service ci": service("ci"),
		// A service that is called like a user, or whose group is gone, is neither.
		"service alice":   {Token: &Token{Service: "alice", Groups: []string{"alice", "gone"}}},
		"service admin":   service("admins"),
		"alice read-only": limited("alice", Token{ReadOnly: true}),
		"root read-only":  limited("root", Token{ReadOnly: true}),
		"alice @acme/*":   limited("alice", Token{Packages: acme}),
		"carol @acme/*":   limited("carol", Token{Packages: acme}),
		"root @acme/*":    limited("root", Token{Packages: acme}),
		// What no user of this configuration is called.
		"user web-team": {User: "web-team"},
		"user admins":   {User: "admins"},
	}
	const (
		ok, no, login, wait = npm.Internal, npm.Forbidden, npm.Unauthorized, npm.TooMany
	)
	type kinds = [3]npm.Kind // read, publish, unpublish
	tests := map[string]map[string]kinds{
		"@acme/lib": {
			"nobody": {login, login, login}, "bad token": {login, login, login}, "wrong CIDR": {no, no, no}, "throttled": {wait, wait, wait},
			"carol": {ok, no, no}, "alice": {ok, ok, no}, "bob": {ok, ok, no}, "root": {ok, ok, ok},
			"service": {ok, no, no}, "service ci": {ok, ok, no}, "service alice": {ok, no, no}, "service admin": {ok, ok, ok},
			"alice read-only": {ok, no, no}, "root read-only": {ok, no, no},
			"alice @acme/*": {ok, ok, no}, "carol @acme/*": {ok, no, no}, "root @acme/*": {ok, ok, ok},
			"user web-team": {ok, no, no}, "user admins": {ok, no, no},
		},
		"@acme/secret": {
			"nobody": {login, login, login}, "carol": {no, no, no}, "alice": {ok, no, no}, "bob": {no, no, no}, "root": {ok, ok, ok},
			"service": {no, no, no}, "service alice": {no, no, no}, "service ci": {no, no, no}, "service admin": {ok, ok, ok},
			"alice read-only": {ok, no, no}, "root read-only": {ok, no, no}, "alice @acme/*": {ok, no, no}, "user admins": {no, no, no},
		},
		"@open/x": {
			"nobody": {ok, ok, login}, "bad token": {ok, ok, login}, "wrong CIDR": {ok, ok, no}, "throttled": {ok, ok, wait},
			"carol": {ok, ok, ok}, "alice read-only": {ok, no, no}, "alice @acme/*": {ok, no, no}, "service": {ok, ok, ok},
		},
		"lodash": {
			"nobody": {ok, login, login}, "bad token": {ok, login, login}, "wrong CIDR": {ok, no, no}, "throttled": {ok, wait, wait},
			"carol": {ok, ok, no}, "root": {ok, ok, ok}, "alice @acme/*": {ok, no, no}, "root @acme/*": {ok, no, no}, "service": {ok, ok, no},
		},
		"@other/x": { // no rule
			"nobody": {login, login, login}, "carol": {no, no, no}, "alice": {no, no, no}, "service ci": {no, no, no},
			"root": {ok, ok, ok}, "service admin": {ok, ok, ok}, "root read-only": {ok, no, no}, "root @acme/*": {no, no, no},
		},
	}
	for name, rows := range tests {
		for who, want := range rows {
			c, known := callers[who]
			if !known {
				t.Fatalf("there is no caller %q", who)
			}
			for act := Read; act <= Unpublish; act++ {
				what := who + " " + act.String() + " " + name
				wantKind(t, what, a.Check(c, act, name), want[act])
				if got := a.May(c, act, name); got != (want[act] == ok) {
					t.Errorf("%s: May is %v", what, got)
				}
			}
		}
		if got, want := a.Public(name), rows["nobody"][Read] == ok; got != want {
			t.Errorf("Public(%s) = %v", name, got)
		}
	}
	for who, want := range map[string]bool{
		"nobody": false, "bad token": false, "alice": false, "root": true, "service admin": true, "service ci": false,
		"root @acme/*": false, "user admins": false,
	} {
		if got := a.Admin(callers[who]); got != want {
			t.Errorf("Admin(%s) = %v", who, got)
		}
	}
}

func TestCheckSentences(t *testing.T) {
	a := open(t, Config{Rules: []Rule{{Match: "**", Publish: []string{"alice"}}}})
	tests := []struct {
		name string
		c    Caller
		act  Action
		want string
	}{
		{"no login", Caller{}, Publish, "You must be logged in to publish packages."},
		{"a bad token", Caller{Fault: noCredentials("It is bad.")}, Publish, "You must be logged in to publish packages. It is bad."},
		{"no login, read", Caller{}, Read, "You must be logged in to read this package."},
		{"no login, unpublish", Caller{}, Unpublish, "You must be logged in to unpublish packages."},
		{"no right", Caller{User: "bob"}, Publish, `You do not have permission to publish "@acme/lib". Are you logged in as the correct user?`},
		{"no right, unpublish", Caller{User: "bob"}, Unpublish, `You do not have permission to unpublish "@acme/lib". Are you logged in as the correct user?`},
		{"no right, read", Caller{User: "bob"}, Read, `You do not have permission to read "@acme/lib".`},
		{"read-only", Caller{User: "alice", Token: &Token{User: "alice", ReadOnly: true}}, Publish, "This token may only read, not publish."},
		{"other packages", Caller{User: "alice", Token: &Token{User: "alice", Packages: []string{"x"}}}, Publish,
			`This token is not for "@acme/lib": it was made for other packages.`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := npm.Message(a.Check(tt.c, tt.act, "@acme/lib")); got != tt.want {
				t.Errorf("it says %q, want %q", got, tt.want)
			}
		})
	}
	err := a.Check(Caller{Fault: tooManyFailures(time.Minute)}, Read, "x")
	if retryAfter(err) != time.Minute {
		t.Errorf("%v does not say when to try again", err)
	}
}

func TestDefaultRules(t *testing.T) {
	a := open(t, Config{})
	alice := Caller{User: "alice"}
	if !a.May(Caller{}, Read, "lodash") || a.May(Caller{}, Publish, "lodash") || !a.May(alice, Publish, "@a/b") || !a.May(alice, Unpublish, "x") {
		t.Error("the default is not that anyone reads and users write")
	}
	if b := open(t, Config{Rules: []Rule{}}); b.May(Caller{}, Read, "lodash") {
		t.Error("an empty list of rules is taken for none")
	}
}

func TestCheckRules(t *testing.T) {
	groups := map[string][]string{"web-team": {"bob", "a:b"}, "anyone": nil, "a b": nil}
	rules := []Rule{
		{Match: "@acme/*", Read: []string{"authenticated", ""}, Publish: []string{"web-team", "alice", "a\nb"}, Unpublish: []string{"admins"}},
		{Match: "@acme"},
		{Match: "@acme/*", Read: []string{"$all"}},
		{Match: "**"},
		{Match: "lodash"},
	}
	err := CheckRules(rules, groups)
	var ps Problems
	if !errors.As(err, &ps) {
		t.Fatalf("%v are no Problems", err)
	}
	type place struct {
		Rule  int
		Group string
		Field string
		Item  int
	}
	var got []place
	for _, p := range ps {
		got = append(got, place{p.Rule, p.Group, p.Field, p.Item})
		wantKind(t, p.Error(), p, npm.Invalid)
	}
	want := []place{
		{-1, "a b", "", -1}, {-1, "anyone", "", -1}, {-1, "web-team", "", 1},
		{0, "", "read", 1}, {0, "", "publish", 2}, {1, "", "match", -1}, {2, "", "match", -1}, {2, "", "read", 0}, {4, "", "match", -1},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s\n%v", d, err)
	}
	if _, err := Open(Config{Dir: t.TempDir(), Rules: rules}); !errors.As(err, &ps) {
		t.Errorf("Open takes such rules: %v", err)
	}

	good := []Rule{{Match: "@acme/*", Read: []string{"anyone", "authenticated", "admins", "web-team", "alice", "jörg müller"}}, {Match: "**"}}
	if err := CheckRules(good, map[string][]string{"web-team": {"alice"}, "admins": nil}); err != nil {
		t.Error(err)
	}
	if err := CheckRules(nil, nil); err != nil {
		t.Error(err)
	}
	if err := CheckRules(DefaultRules(), nil); err != nil {
		t.Error(err)
	}
}

func TestCaller(t *testing.T) {
	c := newClock()
	a := open(t, Config{Now: c.now, Metrics: metrics.New("", ""), Groups: map[string][]string{"ci": nil}})
	addUser(t, a, "alice", "pass:word")
	token := func(r TokenRequest) string {
		secret, _ := createToken(t, a, r)
		return secret
	}
	plainToken := token(TokenRequest{User: "alice", Name: "laptop"})
	netToken := token(TokenRequest{User: "alice", CIDR: prefixes("10.0.0.0/8", "2001:db8::/32")})
	service := token(TokenRequest{Service: "bot", Groups: []string{"ci"}, Name: "deploy"})
	inside, v6 := netip.MustParseAddr("::ffff:10.1.2.3"), netip.MustParseAddr("2001:db8::1%eth0")

	tests := []struct {
		name, header string
		from         netip.Addr
		who, token   string
		fault        npm.Kind
	}{
		{"none", "", here, "", "", npm.Internal},
		{"token", "Bearer " + plainToken, here, "alice", "laptop", npm.Internal},
		{"scheme of any case, spaces", "bEARER  " + plainToken + " ", here, "alice", "laptop", npm.Internal},
		{"service", "Bearer " + service, here, "service:bot", "deploy", npm.Internal},
		{"network", "Bearer " + netToken, inside, "alice", "", npm.Internal},
		{"network, IPv6", "Bearer " + netToken, v6, "alice", "", npm.Internal},
		{"wrong network", "Bearer " + netToken, here, "", "", npm.Forbidden},
		{"no address", "Bearer " + netToken, netip.Addr{}, "", "", npm.Forbidden},
		{"password", basic("alice", "pass:word"), here, "alice", "", npm.Internal},
		{"password without padding", "basic YWxpY2U6cGFzczp3b3Jk", here, "alice", "", npm.Internal},
		{"wrong password", basic("alice", "pass"), here, "", "", npm.Unauthorized},
		{"unknown user", basic("bob", "pass:word"), here, "", "", npm.Unauthorized},
		{"a token for a password", basic("alice", plainToken), here, "", "", npm.Unauthorized},
		{"no colon", "Basic YWxpY2U=", here, "", "", npm.Unauthorized},
		{"no base64", "Basic !", here, "", "", npm.Unauthorized},
		{"a scheme alone", "Bearer", here, "", "", npm.Unauthorized},
		{"undefined", "Bearer undefined", here, "", "", npm.Unauthorized},
		{"a token of the public registry", "Bearer npm_abcdefghijklmnopqrstuvwxyz0123456789", here, "", "", npm.Unauthorized},
		{"unknown token", "Bearer " + newSecret(), here, "", "", npm.Unauthorized},
		{"two tokens", "Bearer " + plainToken + " " + plainToken, here, "", "", npm.Unauthorized},
		{"another scheme", "Digest x", here, "", "", npm.Unauthorized},
		{"the token alone", plainToken, here, "", "", npm.Unauthorized},
		{"a long one", "Basic " + string(slices.Repeat([]byte("QUFB"), maxAuthorization)), here, "", "", npm.Unauthorized},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := a.Caller(t.Context(), tt.header, tt.from)
			wantKind(t, "fault", got.Fault, tt.fault)
			if got.Name() != tt.who || got.TokenName() != tt.token || got.From != tt.from || got.Anonymous() != (tt.who == "") {
				t.Errorf("the caller is %+v (%q, token %q), want %q, %q", got, got.Name(), got.TokenName(), tt.who, tt.token)
			}
			if got.Anonymous() && (got.User != "" || got.Token != nil) {
				t.Errorf("an anonymous caller has %+v", got)
			}
		})
	}
}

// An install with a wrong password in its configuration does not cost a hash
// per request for ever, and still gets what anyone may read.
func TestCallerThrottlesBasic(t *testing.T) {
	a := open(t, Config{})
	addUser(t, a, "alice", "password")
	var c Caller
	for range 11 {
		c = a.Caller(t.Context(), basic("alice", "old password"), here)
		wantKind(t, "a public package", a.Check(c, Read, "lodash"), npm.Internal)
	}
	wantKind(t, "the eleventh", c.Fault, npm.TooMany)
	wantKind(t, "publishing", a.Check(c, Publish, "lodash"), npm.TooMany)
	secret, _ := createToken(t, a, TokenRequest{User: "alice"})
	if c := a.Caller(t.Context(), "Bearer "+secret, here); c.User != "alice" {
		t.Errorf("tokens are throttled, too: %+v", c)
	}
}

func TestSignedInAndPerson(t *testing.T) {
	a := open(t, Config{})
	user := func(t Token) Caller { t.User = "alice"; return Caller{User: "alice", Token: &t} }
	tests := []struct {
		name                  string
		c                     Caller
		signedIn, reads, full npm.Kind // Internal: nil
	}{
		{"nobody", Caller{}, npm.Unauthorized, npm.Unauthorized, npm.Unauthorized},
		{"bad token", Caller{Fault: noCredentials("bad")}, npm.Unauthorized, npm.Unauthorized, npm.Unauthorized},
		{"wrong address", Caller{Fault: &npm.Error{Kind: npm.Forbidden}}, npm.Forbidden, npm.Forbidden, npm.Forbidden},
		{"throttled", Caller{Fault: tooManyFailures(1)}, npm.TooMany, npm.TooMany, npm.TooMany},
		{"password", Caller{User: "alice"}, npm.Internal, npm.Internal, npm.Internal},
		{"token", user(Token{}), npm.Internal, npm.Internal, npm.Internal},
		{"read-only", user(Token{ReadOnly: true}), npm.Internal, npm.Internal, npm.Forbidden},
		{"for packages", user(Token{Packages: []string{"x"}}), npm.Internal, npm.Internal, npm.Forbidden},
		{"service", Caller{Token: &Token{Service: "bot"}}, npm.Internal, npm.Forbidden, npm.Forbidden},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantKind(t, "SignedIn", a.SignedIn(tt.c), tt.signedIn)
			wantKind(t, "Person, reading", a.Person(tt.c, true), tt.reads)
			wantKind(t, "Person", a.Person(tt.c, false), tt.full)
		})
	}
}
