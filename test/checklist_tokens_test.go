package test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

const tokensPath = "/-/npm/v1/tokens"

// createToken makes a token as npm token create does. More is the rest of the
// body.
func (p *pair) createToken(t *testing.T, a account, more object, headers ...string) (made account, key string) {
	t.Helper()
	r := p.json(t, http.MethodPost, tokensPath, append(object{{"password", passphrase}}, more...), append(headers, a.auth())...)
	doc := gjson.ParseBytes(r.body)
	if r.status != http.StatusOK || doc.Get("token").String() == "" || doc.Get("key").String() == "" || !exactTime.MatchString(doc.Get("created").String()) {
		t.Fatalf("token create: %d %s", r.status, r.body)
	}
	return account{a.name, doc.Get("token").String()}, doc.Get("key").String()
}

// listTokens are all tokens, page by page as npm reads them.
func (p *pair) listTokens(t *testing.T, a account) []gjson.Result {
	t.Helper()
	var all []gjson.Result
	for path := tokensPath; path != ""; {
		r := p.ok(t, path, a.auth())
		doc := gjson.ParseBytes(r.body)
		if !doc.Get("objects").IsArray() || !doc.Get("urls").IsObject() || !doc.Get("urls.next").Exists() {
			t.Fatalf("npm crashes on %s", r.body)
		}
		if cc := r.header.Get("Cache-Control"); cc != "no-store" {
			t.Errorf("Cache-Control %q", cc)
		}
		all = append(all, doc.Get("objects").Array()...)
		path = strings.TrimPrefix(doc.Get("urls.next").String(), p.url())
	}
	return all
}

func TestChecklist76_TokensAreListedAndDeleted(t *testing.T) {
	p := newPair(t)
	alice, bob := p.adduser(t, "alice"), p.adduser(t, "bob")
	old := object{{"readonly", false}, {"cidr_whitelist", []string{}}} // npm 6 to 10
	first, key := p.createToken(t, alice, old)
	second, _ := p.createToken(t, alice, object{ // npm 11
		{"name", "ci"}, {"description", "for the builds"}, {"packages_all", true}, {"packages_and_scopes_permission", "read-write"}, {"expires", 30},
	})
	p.wantKnown(t, first)
	p.wantKnown(t, second)

	list := p.listTokens(t, alice)
	if len(list) != 3 { // one of the login
		t.Fatalf("%d tokens: %s", len(list), list)
	}
	for _, o := range list {
		for _, name := range []string{"key", "token", "name"} {
			if o.Get(name).Type != gjson.String || o.Get(name).String() == "" {
				t.Errorf("no %s in %s", name, o.Raw)
			}
		}
		for _, secret := range []string{alice.token, first.token, second.token} {
			if strings.Contains(o.Raw, secret) {
				t.Errorf("the list shows a whole token: %s", o.Raw)
			}
		}
		if cidr := o.Get("cidr_whitelist"); !cidr.IsArray() && cidr.Type != gjson.Null || o.Get("readonly").Raw != "false" {
			t.Errorf("%s", o.Raw)
		}
	}
	if got := len(p.listTokens(t, bob)); got != 1 {
		t.Errorf("bob sees %d tokens", got)
	}

	// npm token delete finds out which one somebody means by the first
	// characters of the key, or of the token, and that there is no other.
	find := func(field, text string, matches func(o, text string) bool) gjson.Result {
		t.Helper()
		var found []gjson.Result
		for _, o := range p.listTokens(t, alice) {
			if matches(o.Get(field).String(), text) {
				found = append(found, o)
			}
		}
		if len(found) != 1 {
			t.Fatalf("%d tokens have the %s %s", len(found), field, text)
		}
		return found[0]
	}
	if got := find("key", key[:6], strings.HasPrefix).Get("key").String(); got != key {
		t.Errorf("key %s, want %s", got, key)
	}
	find("token", second.token, func(o, text string) bool { return strings.HasPrefix(text, o) })
	remove := func(a account, keyOrToken string) reply {
		return p.do(t, http.MethodDelete, tokensPath+"/token/"+keyOrToken, a.auth())
	}
	remove(bob, key).wantRefusal(t, http.StatusNotFound)
	remove(alice, strings.Repeat("0", len(key))).wantRefusal(t, http.StatusNotFound)
	p.wantKnown(t, first)
	for _, keyOrToken := range []string{key, second.token} {
		if r := remove(alice, keyOrToken); r.status != http.StatusNoContent || len(r.body) > 0 {
			t.Errorf("token delete: %d %s", r.status, r.body)
		}
	}
	for _, a := range []account{first, second} {
		p.whoami(t, a).wantRefusal(t, http.StatusUnauthorized)
	}
	if got := len(p.listTokens(t, alice)); got != 1 {
		t.Errorf("%d tokens are left", got)
	}
	p.wantKnown(t, alice)

	r := p.json(t, http.MethodPost, tokensPath, append(object{{"password", "wrong"}}, old...), alice.auth())
	r.wantRefusal(t, http.StatusUnauthorized) // whoever finds a token makes no others of it
	if got := len(p.listTokens(t, alice)); got != 1 {
		t.Errorf("%d tokens after a wrong password", got)
	}
}

func TestChecklist76_ManyTokensAreListedInPages(t *testing.T) {
	p := newPair(t)
	alice := p.adduser(t, "alice")
	want := map[string]bool{}
	for range 5 {
		_, key := p.createToken(t, alice, object{{"readonly", true}, {"cidr_whitelist", []string{}}})
		want[key] = true
	}
	got := 0
	for path := tokensPath + "?perPage=2"; path != ""; {
		doc := gjson.ParseBytes(p.ok(t, path, alice.auth()).body)
		if n := len(doc.Get("objects").Array()); n == 0 || n > 2 {
			t.Fatalf("%d tokens on a page of 2", n)
		}
		if doc.Get("total").Int() != 6 {
			t.Errorf("total %s", doc.Get("total"))
		}
		for _, o := range doc.Get("objects").Array() {
			if want[o.Get("key").String()] {
				got++
			}
		}
		path = strings.TrimPrefix(doc.Get("urls.next").String(), p.url())
	}
	if got != 5 {
		t.Errorf("%d tokens of 5 were found", got)
	}
}

// writes are one request of each kind that changes a package.
func writes(t *testing.T, p *pair, name, rev string) map[string]func(a account, headers ...string) reply {
	t.Helper()
	next := lib(name, "9.0.0")
	body := npmBody(p.url(), next, next.pack(t))
	return map[string]func(account, ...string) reply{
		"publish": func(a account, h ...string) reply {
			return p.json(t, http.MethodPut, escaped(name), body, append(h, a.auth())...)
		},
		"deprecate": func(a account, h ...string) reply {
			return p.json(t, http.MethodPut, escaped(name), fmt.Sprintf(`{"versions":{"1.0.0":{"name":%q,"version":"1.0.0","deprecated":"no"}}}`, name), append(h, a.auth())...)
		},
		"dist-tag": func(a account, h ...string) reply {
			return p.json(t, http.MethodPut, "/-/package"+escaped(name)+"/dist-tags/beta", `"1.0.0"`, append(h, a.auth())...)
		},
		"star": func(a account, h ...string) reply {
			return p.json(t, http.MethodPut, escaped(name), fmt.Sprintf(`{"_id":%q,"users":{"alice":true}}`, name), append(h, a.auth())...)
		},
		"owner": func(a account, h ...string) reply {
			return p.json(t, http.MethodPut, escaped(name)+"/-rev/"+rev, `{"maintainers":[{"name":"x","email":"x@acme.example"}]}`, append(h, a.auth())...)
		},
		"unpublish": func(a account, h ...string) reply {
			return p.json(t, http.MethodDelete, escaped(name)+"/-rev/"+rev, "", append(h, a.auth())...)
		},
		"a token": func(a account, h ...string) reply {
			return p.json(t, http.MethodPost, tokensPath, object{{"password", passphrase}, {"readonly", false}, {"cidr_whitelist", []string{}}}, append(h, a.auth())...)
		},
		"a profile": func(a account, h ...string) reply {
			return p.json(t, http.MethodPost, "/-/npm/v1/user", `{"fullname":"Mallory"}`, append(h, a.auth())...)
		},
	}
}

func TestChecklist76_ReadOnlyTokensOnlyRead(t *testing.T) {
	p := newIdlePair(t)
	p.configure(t, rules)
	p.start(t)
	alice := p.appoint(t, "alice")
	name := "@acme/lib"
	p.publish(t, alice, lib(name, "1.0.0"))
	before := p.document(t, name, alice.auth())
	for i, more := range []object{
		{{"readonly", true}, {"cidr_whitelist", []string{}}},
		{{"name", "ci"}, {"packages_all", true}, {"packages_and_scopes_permission", "read-only"}},
	} {
		reader, _ := p.createToken(t, alice, more)
		p.wantKnown(t, reader)
		p.ok(t, escaped(name), reader.auth())
		p.ok(t, lib(name, "1.0.0").path(), reader.auth())
		if tokens := p.listTokens(t, alice); !slices.ContainsFunc(tokens, func(o gjson.Result) bool { return o.Get("readonly").Bool() }) {
			t.Errorf("%d: none of %s is read-only", i, tokens)
		}
		for what, write := range writes(t, p, name, before.Get("_rev").String()) {
			if err := write(reader).refusal(http.StatusForbidden); err != nil {
				t.Errorf("%d: %s: %v", i, what, err)
			}
		}
	}
	if after := p.document(t, name, alice.auth()); after.Raw != before.Raw {
		t.Errorf("the document became\n%s\nfrom\n%s", after.Raw, before.Raw)
	}
}

func TestChecklist76_TokensForSomePackages(t *testing.T) {
	p := newPair(t)
	alice := p.adduser(t, "alice")
	p.publish(t, alice, lib("@acme/lib", "1.0.0"))
	some, _ := p.createToken(t, alice, object{{"name", "team"}, {"packages", []string{"@team/a"}}, {"scopes", []string{"@other"}}, {"packages_and_scopes_permission", "read-write"}})
	for _, name := range []string{"@team/a", "@other/x"} {
		p.publish(t, some, lib(name, "1.0.0"))
	}
	for _, name := range []string{"@acme/lib", "@team/b", "@otherwise/x", "x"} {
		r := lib(name, "2.0.0")
		p.put(t, some, name, npmBody(p.url(), r, r.pack(t))).wantRefusal(t, http.StatusForbidden)
	}
	p.ok(t, "/@acme%2flib", some.auth()) // anyone may
}

func TestChecklist76_CIDR(t *testing.T) {
	p := newPair(t, "LARDER_TRUSTED_PROXIES=127.0.0.0/8", "LARDER_AUTH_REGISTRATION=open")
	alice := p.adduser(t, "alice")
	p.publish(t, alice, lib("@acme/lib", "1.0.0"))
	rev := p.revOf(t, "@acme/lib")
	office, _ := p.createToken(t, alice, object{{"readonly", false}, {"cidr_whitelist", []string{"10.1.0.0/16", "2001:db8::/32"}}})
	for _, from := range []string{"10.1.2.3", "2001:db8::7", "192.0.2.1, 10.1.2.3", "::ffff:10.1.2.3"} {
		p.wantKnown(t, office, "X-Forwarded-For: "+from)
	}
	for _, headers := range [][]string{
		nil, {"X-Forwarded-For: 10.2.0.1"}, {"X-Forwarded-For: 192.0.2.1"}, {"X-Forwarded-For: 2001:db9::7"}, {"X-Forwarded-For: 10.1.2.3, 192.0.2.1"},
	} {
		if err := p.whoami(t, office, headers...).refusal(http.StatusForbidden, http.StatusUnauthorized); err != nil {
			t.Errorf("%q: %v", headers, err)
		}
		for what, write := range writes(t, p, "@acme/lib", rev) {
			if err := write(office, headers...).refusal(http.StatusForbidden); err != nil {
				t.Errorf("%q: %s: %v", headers, what, err)
			}
		}
		p.ok(t, "/@acme%2flib", append(headers, office.auth())...) // anyone may
	}
	write := writes(t, p, "@acme/lib", rev)["dist-tag"]
	write(office, "X-Forwarded-For: 10.1.255.255").wantWritten(t)
}

func TestChecklist76_CIDRDoesNotBelieveStrangers(t *testing.T) {
	p := newPair(t) // nobody is trusted
	alice := p.adduser(t, "alice")
	office, _ := p.createToken(t, alice, object{{"readonly", false}, {"cidr_whitelist", []string{"10.1.0.0/16"}}})
	here, _ := p.createToken(t, alice, object{{"readonly", false}, {"cidr_whitelist", []string{"127.0.0.0/8"}}})
	for _, header := range []string{"X-Forwarded-For: 10.1.2.3", "X-Real-Ip: 10.1.2.3", "Forwarded: for=10.1.2.3", "Accept: */*"} {
		p.whoami(t, office, header).wantRefusal(t, http.StatusForbidden, http.StatusUnauthorized)
		p.wantKnown(t, here, header)
	}
	r := p.json(t, http.MethodPost, tokensPath, object{{"password", passphrase}, {"readonly", false}, {"cidr_whitelist", []string{"the office"}}}, alice.auth())
	r.wantRefusal(t, http.StatusBadRequest)
}
