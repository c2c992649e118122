package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"larder/test/registry"
	"larder/test/rig"
)

// noticeLimit is far above the second in which a running server notices what
// a command has done.
const noticeLimit = 10 * time.Second

// try runs a command of larder on p's data.
func (p *pair) try(t *testing.T, stdin string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := exec.Command(rig.Tested(t), append(args, "--data", p.data)...)
	for i, arg := range p.args {
		if arg == "--config" {
			cmd.Args = append(cmd.Args, p.args[i:i+2]...)
		}
	}
	cmd.Env = append([]string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "GORACE=atexit_sleep_ms=10"}, p.env...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err = cmd.Run()
	return out.String(), complaints.String(), err
}

// command is try for one that must do, and returns what it prints.
func (p *pair) command(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	stdout, stderr, err := p.try(t, stdin, args...)
	if err != nil {
		t.Fatalf("larder %q: %v\n%s", args, err, stderr)
	}
	return stdout
}

// wantForgotten fails the test unless a's token soon is none any more.
func (p *pair) wantForgotten(t *testing.T, a account) {
	t.Helper()
	if !rig.Eventually(t, noticeLimit, func() bool { return p.whoami(t, a).status == http.StatusUnauthorized }) {
		t.Errorf("the token of %s goes on working", a.name)
	}
}

func TestCommandsWhileTheServerRuns(t *testing.T) {
	p := newPair(t, "LARDER_AUTH_REGISTRATION=closed")
	p.command(t, passphrase+"\n", "user", "add", "alice", "--email", "alice@acme.example")
	alice := p.loggedIn(t, p.couchLogin(t, "alice", passphrase, ""), "alice") // at once
	p.wantKnown(t, alice)
	_, stderr, err := p.try(t, passphrase+"\n", "user", "add", "alice")
	if err == nil || !strings.Contains(stderr, "alice") {
		t.Errorf("a second alice: %v, %s", err, stderr)
	}

	// A token works at once, and has the limits that it was given.
	token := p.command(t, "", "token", "create", "--user", "alice", "--name", "laptop")
	made := account{"alice", strings.TrimSuffix(token, "\n")}
	if strings.ContainsAny(made.token, " \n") {
		t.Errorf("more than the token is printed: %q", token)
	}
	p.wantKnown(t, made)
	p.publish(t, made, lib("@acme/lib", "1.0.0"))
	reader := account{"alice", strings.TrimSpace(p.command(t, "", "token", "create", "--user", "alice", "--read-only", "--packages", "@acme/*"))}
	p.wantKnown(t, reader)
	next := lib("@acme/lib", "1.1.0")
	p.put(t, reader, next.name, npmBody(p.url(), next, next.pack(t))).wantRefusal(t, http.StatusForbidden)

	// Revoked by the beginning of its key, or by itself.
	key := p.keyOf(t, "laptop")
	p.command(t, "", "token", "revoke", key[:10])
	p.wantForgotten(t, made)
	p.command(t, reader.token+"\n", "token", "revoke", "-")
	p.wantForgotten(t, reader)
	p.wantKnown(t, alice)

	// Another password ends every session, and the account's end does.
	p.command(t, "another "+passphrase+"\n", "user", "passwd", "alice")
	p.wantForgotten(t, alice)
	p.couchLogin(t, "alice", passphrase, "").wantRefusal(t, http.StatusUnauthorized)
	alice = p.loggedIn(t, p.couchLogin(t, "alice", "another "+passphrase, ""), "alice")
	p.command(t, "", "user", "rm", "alice")
	p.wantForgotten(t, alice)
	if !rig.Eventually(t, noticeLimit, func() bool { return p.couchLogin(t, "alice", "another "+passphrase, "").status/100 == 4 }) {
		t.Error("who was removed can log in")
	}
	if list := p.command(t, "", "user", "ls", "--json"); strings.Contains(list, "alice") {
		t.Errorf("the accounts are %s", list)
	}
	p.ok(t, "/@acme%2flib") // what was published stays

	p.wantJournal(t, "user.add alice", "token.create", "publish", "token.revoke", "password.change alice", "user.rm alice")
	for _, secret := range []string{made.token, reader.token, passphrase} {
		p.wantNowhere(t, secret)
	}
}

// keyOf is the key of the token with a name.
func (p *pair) keyOf(t *testing.T, name string) string {
	t.Helper()
	for _, o := range gjson.Parse(p.command(t, "", "token", "ls", "--json")).Array() {
		if o.Get("name").String() == name {
			return o.Get("key").String()
		}
	}
	t.Fatalf("there is no token %s", name)
	return ""
}

// wantJournal fails the test unless the audit log has an entry for each of
// these, "action" or "action subject", in this order.
func (p *pair) wantJournal(t *testing.T, entries ...string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(p.data, "audit", "audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var e struct{ Action, Subject, Result string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Errorf("not JSON: %s", line)
		}
		if len(entries) > 0 && e.Result == "ok" && (entries[0] == e.Action || entries[0] == e.Action+" "+e.Subject) {
			entries = entries[1:]
		}
	}
	if len(entries) > 0 {
		t.Errorf("the audit log lacks %q:\n%s", entries, text)
	}
}

// wantNowhere fails the test if a secret stands in a file of the data
// directory, or in the log.
func (p *pair) wantNowhere(t *testing.T, secret string) {
	t.Helper()
	if strings.Contains(p.larder.Log(), secret) {
		t.Error("a secret is in the log")
	}
	out, err := exec.Command("grep", "-rlF", "--", secret, p.data).Output()
	if len(out) > 0 {
		t.Errorf("a secret is in %s", out)
	} else if err == nil {
		t.Error("grep found nothing and was content")
	}
}

func TestCommandsWhileTheServerIsStopped(t *testing.T) {
	p := newIdlePair(t, "LARDER_AUTH_REGISTRATION=closed")
	p.command(t, passphrase, "user", "add", "alice") // without a line break
	alice := account{"alice", strings.TrimSpace(p.command(t, "", "token", "create", "--user", "alice"))}
	p.start(t)
	p.wantKnown(t, alice)
	p.loggedIn(t, p.couchLogin(t, "alice", passphrase, ""), "alice")
	for name, args := range map[string][]string{
		"no such user":     {"token", "create", "--user", "bob"},
		"nobody's token":   {"token", "create"},
		"a bad name":       {"user", "add", "a:b"},
		"a short password": {"user", "add", "bob"},
		"no such key":      {"token", "revoke", "ffffffff"},
	} {
		if _, stderr, err := p.try(t, "short\n", args...); err == nil || stderr == "" {
			t.Errorf("%s: %v, %q", name, err, stderr)
		}
	}
}

func TestServiceTokens(t *testing.T) {
	p := newIdlePair(t)
	p.configure(t, `
access:
  - {match: ["@acme/*"], read: [authenticated], publish: [builders], unpublish: [admins]}
  - {match: ["**"], read: [anyone], publish: [], unpublish: []}
auth: {registration: closed, groups: {builders: []}}
hosted: {reserved: ["@acme/*"]}
`)
	p.start(t)
	ci := account{"service:ci", strings.TrimSpace(p.command(t, "", "token", "create", "--service", "ci", "--group", "builders"))}
	other := account{"service:other", strings.TrimSpace(p.command(t, "", "token", "create", "--service", "other"))}
	p.wantKnown(t, ci)
	p.publish(t, ci, lib("@acme/built", "1.0.0"))
	if got := p.document(t, "@acme/built", other.auth()).Get(`versions.1\.0\.0._npmUser.name`).String(); got != "service:ci" {
		t.Errorf("published by %q", got)
	}
	r := lib("@acme/built", "1.1.0")
	p.put(t, other, r.name, npmBody(p.url(), r, r.pack(t))).wantRefusal(t, http.StatusForbidden)
	p.get(t, "/@acme%2fbuilt").wantRefusal(t, http.StatusUnauthorized)
}

func TestTokensExpire(t *testing.T) {
	p := newPair(t)
	p.adduser(t, "alice")
	brief := account{"alice", strings.TrimSpace(p.command(t, "", "token", "create", "--user", "alice", "--expires", "3s"))}
	p.wantForgotten(t, brief)
	p.ok(t, "/is-odd", brief.auth())
}

func TestBootstrap(t *testing.T) {
	p := newIdlePair(t)
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(passphrase+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.env = []string{"LARDER_AUTH_REGISTRATION=closed", "LARDER_BOOTSTRAP_USER=root", "LARDER_BOOTSTRAP_PASSWORD_FILE=" + file}
	p.start(t)
	root := p.loggedIn(t, p.couchLogin(t, "root", passphrase, ""), "root")
	p.stop(t)

	// Once: a file that has changed or gone since changes nothing.
	if err := os.WriteFile(file, []byte("something else\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.start(t)
	p.wantKnown(t, root)
	p.couchLogin(t, "root", "something else", "").wantRefusal(t, http.StatusUnauthorized)
	p.stop(t)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	p.start(t)
	p.loggedIn(t, p.couchLogin(t, "root", passphrase, ""), "root")
	if list := p.command(t, "", "user", "ls", "--json"); gjson.Get(list, "0.groups.0").String() != "admins" {
		t.Errorf("accounts: %s", list)
	}
}

func TestHostedForget(t *testing.T) {
	p := newPair(t)
	alice := p.adduser(t, "alice")
	name := "@acme/given-up"
	p.publish(t, alice, lib(name, "1.0.0"))
	p.publish(t, alice, lib("@acme/kept", "1.0.0"))
	forget := func(name string) error {
		t.Helper()
		_, stderr, err := p.try(t, "", "hosted", "forget", name, "--yes")
		if err != nil && stderr == "" {
			t.Errorf("forget %s: %v, and no reason", name, err)
		}
		return err
	}
	live := "@acme/live"
	for range 2 { // what was forgotten can be published anew, the same version
		p.publish(t, alice, lib(live, "1.0.0"))
		if forget(live) == nil || forget("@acme/never") == nil {
			t.Error("forgotten by a running server though it has versions, or was never there")
		}
		p.json(t, http.MethodDelete, escaped(live)+"/-rev/"+p.revOf(t, live), "", alice.auth()).wantWritten(t)
		if err := forget(live); err != nil {
			t.Fatalf("forget, by a running server: %v", err)
		}
	}
	p.stop(t)
	if forget(name) == nil || forget("@acme/never") == nil {
		t.Error("forgotten though it has versions, or was never there")
	}
	p.start(t)
	p.json(t, http.MethodDelete, escaped(name)+"/-rev/"+p.revOf(t, name), "", alice.auth()).wantWritten(t)
	p.stop(t)
	if list := p.command(t, "", "hosted", "ls"); !strings.Contains(list, name+"\tunpublished") || !strings.Contains(list, "@acme/kept\n") {
		t.Errorf("the names are %q", list)
	}
	if err := forget(name); err != nil {
		t.Fatalf("forget: %v", err)
	}
	if list := p.command(t, "", "hosted", "ls"); list != "@acme/kept\n" {
		t.Errorf("the names are %q", list)
	}

	// From now on it is upstream's, as any other.
	p.add(t, registry.Package{Name: name, Version: "6.6.6"})
	p.start(t)
	if got := gjson.GetBytes(p.ok(t, escaped(name)).body, `dist-tags.latest`).String(); got != "6.6.6" {
		t.Errorf("latest is %s", got)
	}
	p.wantJournal(t, "publish", "unpublish", "hosted.forget")
}

func TestGuessingIsSlowedDown(t *testing.T) {
	p := newPair(t)
	alice, bob := p.adduser(t, "alice"), p.adduser(t, "bob")
	const patient = 100 // guesses
	var r reply
	for i := range patient {
		r = p.couchLogin(t, "alice", fmt.Sprint("perhaps it is ", i), "")
		r.wantRefusal(t, http.StatusUnauthorized, http.StatusTooManyRequests)
		if r.status == http.StatusTooManyRequests {
			break
		}
	}
	if r.status != http.StatusTooManyRequests || r.header.Get("Retry-After") == "" {
		t.Errorf("guess %d: %d, Retry-After %q", patient, r.status, r.header.Get("Retry-After"))
	}
	p.wantKnown(t, alice) // whoever guesses does not lock out a token
	p.wantKnown(t, bob)
	p.publish(t, alice, lib("@acme/lib", "1.0.0"))
}
