package main

import (
	"net/http"
	"os"
	"strings"
	"testing"
)

func TestBootstrap(t *testing.T) {
	password := write(t, "password", "correct horse\n\n") // one line break at the end is not part of it
	environ := []string{"LARDER_BOOTSTRAP_USER=alice", "LARDER_BOOTSTRAP_PASSWORD_FILE=" + password, "LARDER_AUTH_REGISTRATION=closed"}
	args := serveArgs(t, "http://127.0.0.1:1/")
	data := args[4]

	larder, stop := launch(t, environ, args...)
	base := larder.url()
	if line := larder.waitFor("the first administrator was made"); !strings.Contains(line, "user=alice") {
		t.Error(line)
	}
	if status := signIn(t, base, "alice", `correct horse`); status != http.StatusUnauthorized {
		t.Errorf("without the second line break: status %d", status)
	}
	if status := signIn(t, base, "alice", `correct horse\n`); status != http.StatusCreated {
		t.Errorf("the bootstrap password: status %d", status)
	}
	stop()
	larder.exit()
	log, err := os.ReadFile(auditPath(data))
	if want := `"actor":"bootstrap","action":"user.add","subject":"alice","result":"ok"`; err != nil || !strings.Contains(string(log), want) {
		t.Errorf("no %s in %s, %v", want, log, err)
	}
	if err := os.Remove(password); err != nil {
		t.Fatal(err)
	}
	must(t, "battery staple", "user", "passwd", "alice", "--data", data)

	larder, stop = launch(t, environ, args...) // without the file, which is not needed any more
	if status := signIn(t, larder.url(), "alice", "battery staple"); status != http.StatusCreated {
		t.Errorf("after the second start: status %d", status)
	}
	stop()
	larder.exit()
	must(t, "", "user", "rm", "alice", "--data", data)
	larder, _ = launch(t, environ, args...)
	if status := larder.exit(); status != exitFailure || !strings.Contains(larder.output(), "bootstrap.password_file, for the first account: open "+password) {
		t.Errorf("with neither accounts nor file: status %d: %s", status, larder.output())
	}
}

func TestBootstrapLeavesAccountsAlone(t *testing.T) {
	args := serveArgs(t, "http://127.0.0.1:1/")
	must(t, "correct horse", "user", "add", "bob", "--data", args[4])
	environ := []string{"LARDER_BOOTSTRAP_USER=alice", "LARDER_BOOTSTRAP_PASSWORD_FILE=missing"}
	larder, stop := launch(t, environ, args...)
	larder.url()
	// alice counts as an administrator, and has no account: that is worth a word.
	if line := larder.waitFor("have no account"); !strings.Contains(line, "names=[alice]") {
		t.Error(line)
	}
	stop()
	larder.exit()
	if got := must(t, "", "user", "ls", "--data", args[4]); strings.Contains(got, "alice") || !strings.Contains(got, "bob") {
		t.Errorf("accounts:\n%s", got)
	}
}

func TestBootstrapRefusesABadPassword(t *testing.T) {
	environ := []string{"LARDER_BOOTSTRAP_USER=alice", "LARDER_BOOTSTRAP_PASSWORD_FILE=" + write(t, "password", "short")}
	larder, _ := launch(t, environ, serveArgs(t, "http://127.0.0.1:1/")...)
	if status := larder.exit(); status != exitFailure ||
		!strings.Contains(larder.output(), "larder: bootstrap.user alice: A password has at least 8 characters") {
		t.Errorf("status %d: %s", status, larder.output())
	}
}

// TestNamesNobodyHasTaken: a name with rights and without an account is a slip,
// or an account that somebody waits for.
func TestNamesNobodyHasTaken(t *testing.T) {
	const names = "{groups: {web-team: [bob, carol]}"
	access := "\naccess: [{match: ['**'], read: [anyone, authenticated, web-team, dave, admins], publish: [erin]}]"
	for _, registration := range []string{"open", "closed"} {
		args := serveArgs(t, "http://127.0.0.1:1/", "--config", write(t, "larder.yaml", "auth: "+names+", registration: "+registration+"}"+access))
		must(t, "correct horse", "user", "add", "bob", "--data", args[4])
		larder, stop := launch(t, nil, args...)
		larder.url()
		stop()
		larder.exit()
		if !strings.Contains(larder.output(), "have no account") || !strings.Contains(larder.output(), `names="[carol dave erin]"`) {
			t.Errorf("registration %s: %s", registration, larder.output())
		}
	}
}

// TestPrivateSettingsReachTheServer: each key changes what the server answers.
// The upstream is away, so that only reserved names can be published.
func TestPrivateSettingsReachTheServer(t *testing.T) {
	config := write(t, "larder.yaml", `hosted: {reserved: ["@acme/*"], max_publish: 100KB}
access:
  - {match: ["@acme/open-*"], read: [anyone], publish: [authenticated]}
  - {match: ["@acme/*"], read: [authenticated], publish: [web-team]}
auth: {registration: closed, groups: {web-team: [alice]}}
`)
	args := serveArgs(t, "http://127.0.0.1:1/", "--config", config)
	data := args[4]
	larder, _ := launch(t, nil, args...)
	base := larder.url()
	tokens := make(map[string]string)
	for _, user := range []string{"alice", "bob"} {
		must(t, "correct horse", "user", "add", user, "--data", data)
		tokens[user] = strings.TrimSpace(must(t, "", "token", "create", "--user", user, "--data", data))
	}
	publish(t, base, tokens["alice"], "@acme/lib")
	publish(t, base, tokens["bob"], "@acme/open-lib")
	big := publication(t, "@acme/lib", "1.0.1", 150_000)
	tests := []struct {
		name   string
		method string
		path   string
		user   string
		body   []byte
		status int
	}{
		{"a stranger reads what is private", http.MethodGet, "@acme%2flib", "", nil, http.StatusUnauthorized},
		{"a user reads it", http.MethodGet, "@acme%2flib", "bob", nil, http.StatusOK},
		{"a stranger reads what is open", http.MethodGet, "@acme%2fopen-lib", "", nil, http.StatusOK},
		{"a reserved name is not looked for", http.MethodGet, "@acme%2fopen-nothing", "", nil, http.StatusNotFound},
		{"another name is", http.MethodGet, "lodash", "alice", nil, http.StatusForbidden}, // no entry matches
		{"a user without the right publishes", http.MethodPut, "@acme%2flib", "bob", []byte(`{}`), http.StatusForbidden},
		{"nobody unpublishes", http.MethodDelete, "@acme%2flib/-rev/undefined", "alice", nil, http.StatusForbidden},
		{"too big a tarball", http.MethodPut, "@acme%2flib", "alice", big, http.StatusRequestEntityTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if status := send(t, tt.method, base+tt.path, tokens[tt.user], tt.body); status != tt.status {
				t.Errorf("status %d, want %d", status, tt.status)
			}
		})
	}
	if status, body := get(t, base+"@acme%2fopen-lib"); status != http.StatusOK || !strings.Contains(body, `"signatures":[{"keyid":"SHA256:`) {
		t.Errorf("status %d, no signature in %s", status, body)
	}
}
