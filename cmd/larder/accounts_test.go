package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/auth"
)

// whoami asks the server at base whose token it is.
func whoami(t *testing.T, base, token string) (status int, name string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"-/whoami", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var body struct{ Username string }
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, body.Username
}

// signIn logs in as npm's legacy login does and returns the status.
func signIn(t *testing.T, base, user, password string) int {
	t.Helper()
	body := strings.NewReader(`{"name":"` + user + `","password":"` + password + `"}`)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, base+"-/user/org.couchdb.user:"+user, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// must runs a command that succeeds and returns what it prints.
func must(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	status, stdout, stderr := cli(t, stdin, args...)
	if status != exitOK {
		t.Fatalf("%v: status %d: %s", args, status, stderr)
	}
	return stdout
}

// TestCommandsWorkBesideAServer: what the command line does to accounts and
// tokens holds for the server's next request.
func TestCommandsWorkBesideAServer(t *testing.T) {
	args := serveArgs(t, "http://127.0.0.1:1/")
	data := args[4]
	config := write(t, "larder.yaml", "auth: {registration: closed, groups: {build: []}}")
	larder, stop := launch(t, nil, append(args, "--config", config)...)
	base := larder.url()
	if status := signIn(t, base, "alice", "correct horse"); status == http.StatusCreated {
		t.Fatal("alice can log in before she exists")
	}
	must(t, "correct horse\n", "user", "add", "alice", "--data", data, "--email", "alice@acme.example")
	if status := signIn(t, base, "alice", "correct horse"); status != http.StatusCreated {
		t.Errorf("status %d at alice's first login", status)
	}
	token := strings.TrimSpace(must(t, "", "token", "create", "--user", "alice", "--name", "laptop", "--data", data))
	if status, name := whoami(t, base, token); status != http.StatusOK || name != "alice" {
		t.Errorf("alice's token: status %d, %q", status, name)
	}
	service := strings.TrimSpace(must(t, "", "token", "create", "--service", "ci", "--group", "build", "--data", data, "--config", config))
	if status, name := whoami(t, base, service); status != http.StatusOK || name != "service:ci" {
		t.Errorf("the service's token: status %d, %q", status, name)
	}
	must(t, service+"\n", "token", "revoke", "-", "--data", data)
	if status, _ := whoami(t, base, service); status != http.StatusUnauthorized {
		t.Errorf("the revoked token: status %d", status)
	}
	must(t, "battery staple\n", "user", "passwd", "alice", "--data", data)
	if status, _ := whoami(t, base, token); status != http.StatusUnauthorized {
		t.Errorf("alice's token after a new password: status %d", status)
	}
	if status := signIn(t, base, "alice", "correct horse"); status != http.StatusUnauthorized {
		t.Errorf("alice's old password: status %d", status)
	}
	if status := signIn(t, base, "alice", "battery staple"); status != http.StatusCreated {
		t.Errorf("alice's new password: status %d", status)
	}
	must(t, "", "user", "rm", "alice", "--data", data)
	if status := signIn(t, base, "alice", "battery staple"); status != http.StatusUnauthorized {
		t.Errorf("alice, removed: status %d", status)
	}
	stop()
	if status := larder.exit(); status != exitOK {
		t.Errorf("exit status %d:\n%s", status, larder.output())
	}
	if got := must(t, "", "user", "ls", "--data", data); got != "" {
		t.Errorf("left: %s", got)
	}
}

// TestMutationsAreAudited holds what the command line writes to the audit log.
func TestMutationsAreAudited(t *testing.T) {
	data := t.TempDir()
	must(t, "correct horse", "user", "add", "alice", "--data", data)
	cli(t, "short", "user", "add", "bob", "--data", data)
	must(t, "battery staple", "user", "passwd", "alice", "--data", data)
	secret := must(t, "", "token", "create", "--user", "alice", "--name", "laptop", "--data", data)
	must(t, secret, "token", "revoke", "-", "--data", data)
	must(t, "", "user", "rm", "alice", "--data", data)

	log, err := os.ReadFile(filepath.Join(data, "audit", "audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(log), strings.TrimSpace(secret)) {
		t.Error("the token is in the log")
	}
	key := regexp.MustCompile(`key [0-9a-f]{12}`)
	var got []auth.Event
	for line := range strings.Lines(string(log)) {
		var e auth.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Time.IsZero() || e.Actor != "cli:"+systemUser() {
			t.Errorf("no time or no actor: %s", line)
		}
		e.Time, e.Actor, e.Subject = time.Time{}, "", key.ReplaceAllString(e.Subject, "KEY")
		got = append(got, e)
	}
	want := []auth.Event{
		{Action: "user.add", Subject: "alice", Result: "ok"},
		{Action: "user.add", Subject: "bob", Result: "failed", Reason: "A password has at least 8 characters"},
		{Action: "password.change", Subject: "alice", Result: "ok"},
		{Action: "token.create", Subject: "laptop of alice (KEY)", Result: "ok"},
		{Action: "token.revoke", Subject: "laptop of alice (KEY)", Result: "ok"},
		{Action: "user.rm", Subject: "alice", Result: "ok"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// alice is an htpasswd file. Not to hash saves a tenth of a second a test.
const alice = "alice:$2y$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy\n"

func TestAccountCommands(t *testing.T) {
	tests := []struct {
		name   string
		stdin  string
		args   string
		status int
		stdout string // a part of it
		stderr string // a part of it
	}{
		{name: "user", args: "user", stdout: "Available Commands:"},
		{name: "add", stdin: "correct horse\n", args: "user add bob", stderr: "Added bob to DATA.\n"},
		{name: "add twice", stdin: "correct horse\n", args: "user add alice", status: exitFailure, stderr: `larder: there is an account alice already; change its password with "larder user passwd alice"`},
		{name: "add with another case", stdin: "correct horse\n", args: "user add Alice", status: exitFailure, stderr: `differs from it only by case`},
		{name: "add without a password", args: "user add bob", status: exitFailure, stderr: "larder: read the password from standard input: EOF"},
		{name: "add with a short one", stdin: "abc", args: "user add bob", status: exitFailure, stderr: "larder: A password has at least 8 characters\n"},
		{name: "add with a bad name", stdin: "correct horse\n", args: "user add a:b", status: exitUsage, stderr: `larder: "a:b" cannot be a user's name`},
		{name: "add a word", stdin: "correct horse\n", args: "user add anyone", status: exitUsage, stderr: "access rules use that word for something else"},
		{name: "add nobody", args: "user add", status: exitUsage, stderr: "accepts 1 arg(s), received 0"},
		{name: "a password is no argument", args: "user add bob hunter2hunter2", status: exitUsage, stderr: "accepts 1 arg(s), received 2"},
		{name: "a password is no flag", args: "user add bob --password hunter2hunter2", status: exitUsage, stderr: "unknown flag: --password"},
		{name: "passwd of nobody", stdin: "correct horse\n", args: "user passwd bob", status: exitFailure, stderr: `larder: there is no account bob in DATA; see "larder user ls"`},
		{name: "rm of nobody", args: "user rm bob", status: exitFailure, stderr: `larder: there is no account bob in DATA; see "larder user ls"`},
		{name: "ls", args: "user ls", stdout: "NAME   EMAIL  GROUPS  CREATED\nalice  -      admins  -\n"},
		{name: "ls as JSON", args: "user ls --json", stdout: `"groups": [` + "\n      \"admins\""},
		{name: "a file that is wrong", args: "user ls --config BAD", status: exitUsage, stderr: "BAD:1:7: data: must be a single value"},
		{name: "no such flag here", args: "user ls --listen :1", status: exitUsage, stderr: "unknown flag: --listen"},

		{name: "token of a user", args: "token create --user alice", stdout: "", stderr: "Made the token cli of alice (key "},
		{name: "token of nobody", args: "token create", status: exitUsage, stderr: "say whose token it is"},
		{name: "token of two", args: "token create --user alice --service ci", status: exitUsage, stderr: "say whose token it is"},
		{name: "token of a user who is none", args: "token create --user bob", status: exitFailure, stderr: "there is no account bob"},
		{name: "token of a user in a group", args: "token create --user alice --group admins", status: exitUsage, stderr: "--group goes with --service"},
		{name: "token of no group", args: "token create --service ci --group nobodys", status: exitFailure, stderr: `There is no group "nobodys" in the configuration`},
		{name: "token of a bad service", args: "token create --service a/b", status: exitUsage, stderr: "--service: "},
		{name: "token of no network", args: "token create --service ci --cidr 10.0.0.0/33", status: exitUsage, stderr: `--cidr must be an address or a network`},
		{name: "token of no packages", args: "token create --service ci --packages @acme", status: exitUsage, stderr: "--packages: "},
		{name: "token of the past", args: "token create --service ci --expires 2020-01-31", status: exitUsage, stderr: "--expires must be in the future"},
		{name: "token of a slip", args: "token create --service ci --expires 90x", status: exitUsage, stderr: "--expires must be in the future, like 90d"},
		{name: "tokens", args: "token ls", stdout: "KEY           OWNER       NAME    LIMITS                        CREATED "},
		{name: "tokens of one user", args: "token ls --user alice", stdout: "laptop"},
		{name: "tokens of nobody", args: "token ls --user bob", status: exitFailure, stderr: "there is no account bob"},
		{name: "revoke none", args: "token revoke zz", status: exitFailure, stderr: `no token has a key that begins with "zz"`},
		{name: "revoke with nothing", args: "token revoke", status: exitUsage, stderr: "accepts 1 arg(s), received 0"},
		{name: "revoke what is no token", stdin: "larder_nonsense", args: "token revoke -", status: exitFailure, stderr: "larder: there is no such token\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			data := t.TempDir()
			if err := errors.Join(os.Mkdir(authPath(data), 0o700), os.WriteFile(authPath(data)+"/htpasswd", []byte(alice), 0o600)); err != nil {
				t.Fatal(err)
			}
			must(t, "", "token", "create", "--user", "alice", "--name", "laptop", "--data", data)
			must(t, "", "token", "create", "--service", "ci", "--read-only", "--cidr", "10.1.2.3/8", "--packages", "@acme/*", "--data", data)
			config := write(t, "larder.yaml", "auth: {groups: {admins: [alice]}}")
			bad := write(t, "bad.yaml", "data: [a]")
			args := strings.Fields(strings.ReplaceAll(tt.args, "BAD", bad))
			if len(args) > 1 {
				args = append(args, "--data", data)
			}
			if len(args) > 1 && !strings.Contains(tt.args, "--config") {
				args = append(args, "--config", config)
			}
			status, stdout, stderr := cli(t, tt.stdin, args...)
			stderr = strings.NewReplacer(data, "DATA", bad, "BAD").Replace(stderr)
			if status != tt.status {
				t.Errorf("status %d, want %d", status, tt.status)
			}
			if !strings.Contains(stdout, tt.stdout) || status != exitOK && stdout != "" {
				t.Errorf("standard output %q, want %q in it", stdout, tt.stdout)
			}
			if !strings.Contains(stderr, tt.stderr) || tt.stderr == "" && stderr != "" {
				t.Errorf("standard error %q, want %q in it", stderr, tt.stderr)
			}
		})
	}
}

func TestTokenIsPrintedAlone(t *testing.T) {
	data := t.TempDir()
	out := must(t, "", "token", "create", "--service", "ci", "--read-only", "--expires", "90d", "--cidr", "10.1.2.3/8", "--cidr", "::1",
		"--packages", "@acme/*", "--packages", "lodash", "--name", "build farm", "--data", data)
	if lines := strings.Split(out, "\n"); len(lines) != 2 || lines[1] != "" || strings.Contains(lines[0], " ") {
		t.Errorf("standard output %q, want one word on one line", out)
	}
	var got []tokenEntry
	if err := json.Unmarshal([]byte(must(t, "", "token", "ls", "--json", "--data", data)), &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 {
		t.Fatalf("%d tokens", len(got))
	}
	entry := got[0]
	if lifetime := entry.Expires.Sub(entry.Created); lifetime < 89*24*time.Hour || lifetime > 90*24*time.Hour {
		t.Errorf("it expires after %v", lifetime)
	}
	if entry.limits() != "read-only,10.0.0.0/8,::1/128,@acme/*,lodash" || entry.Service != "ci" || entry.Name != "build farm" {
		t.Errorf("made %+v", entry)
	}
}

func TestAmbiguousKeyIsRefused(t *testing.T) {
	data := t.TempDir()
	seen := make(map[byte]string)
	for { // until two keys begin alike
		must(t, "", "token", "create", "--service", "ci", "--name", "n", "--data", data)
		var tokens []tokenEntry
		if err := json.Unmarshal([]byte(must(t, "", "token", "ls", "--json", "--data", data)), &tokens); err != nil {
			t.Fatal(err)
		}
		for _, token := range tokens {
			first := token.Key[0]
			if other, taken := seen[first]; taken && other != token.Key {
				status, _, stderr := cli(t, "", "token", "revoke", string(first), "--data", data)
				if status != exitFailure || !strings.Contains(stderr, other[:12]) || !strings.Contains(stderr, token.Key[:12]) {
					t.Errorf("status %d: %s", status, stderr)
				}
				must(t, "", "token", "revoke", strings.ToUpper(other[:20]), "--data", data)
				if got := must(t, "", "token", "ls", "--data", data); strings.Contains(got, other[:12]) || !strings.Contains(got, token.Key[:12]) {
					t.Errorf("left:\n%s", got)
				}
				return
			}
			seen[first] = token.Key
		}
	}
}

// TestListsAreFitForATerminal: names and addresses are what clients made them.
func TestListsAreFitForATerminal(t *testing.T) {
	for text, want := range map[string]string{"": "-", "alice": "alice", "a\x1b[2Jb\tc\n": "a?[2Jb?c?", "grün": "grün"} {
		if got := shown(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}

// TestRootWorksAsTheOwner: what root does on somebody's data directory is
// theirs afterwards.
func TestRootWorksAsTheOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("needs root, and CI skips nothing")
		}
		t.Skip("needs root")
	}
	const nobody = 65534
	data, err := os.MkdirTemp("", "larder-owner-") // its parents are everybody's, those of t.TempDir are not
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(data) })
	if err := os.Chown(data, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	larder, _ := spawn(t, "token", "create", "--service", "ci", "--data", data)
	if status := larder.exit(); status != exitOK {
		t.Fatalf("status %d: %s", status, larder.output())
	}
	files := 0
	err = filepath.WalkDir(data, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := entry.Info()
		if err != nil {
			return err
		}
		files++
		if owner := fi.Sys().(*syscall.Stat_t); owner.Uid != nobody || owner.Gid != nobody {
			t.Errorf("%s is %d:%d's", path, owner.Uid, owner.Gid)
		}
		return nil
	})
	if err != nil || files < 5 {
		t.Errorf("%d files, %v", files, err)
	}
	log, err := os.ReadFile(auditPath(data))
	if want := `"actor":"cli:` + systemUser() + `"`; err != nil || !strings.Contains(string(log), want) {
		t.Errorf("no %s in %s, %v", want, log, err)
	}
}

func TestExpiry(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 500, time.UTC)
	tests := []struct{ text, want string }{ // want "": refused
		{"1d", "2026-11-26T12:00:00Z"},
		{"90d", "2027-02-23T12:00:00Z"},
		{"12h", "2026-11-26T00:00:00Z"},
		{"1h30m", "2026-11-25T13:30:00Z"},
		{"2026-11-26", "2026-11-26T00:00:00Z"},
		{"2026-11-26T01:00:00+02:00", "2026-11-25T23:00:00Z"},
		{"2026-11-25", ""}, {"0d", ""}, {"-1d", ""}, {"d", ""}, {"1.5d", ""}, {"90", ""}, {"3 days", ""}, {"99999999999d", ""}, {"40000d", ""},
		{"9223372036854775807d", ""}, {"-1h", ""}, {"2026-13-01", ""},
	}
	for _, tt := range tests {
		got, err := parseExpiry(tt.text, now)
		if tt.want == "" {
			if err == nil {
				t.Errorf("%q is taken for %v", tt.text, got)
			}
		} else if err != nil || got.Format(time.RFC3339) != tt.want {
			t.Errorf("%q is %v, %v; want %s", tt.text, got, err, tt.want)
		}
	}
	if got, err := parseExpiry("", now); err != nil || !got.IsZero() {
		t.Errorf("nothing is %v, %v; want never", got, err)
	}
}
