package test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/tidwall/gjson"
)

// password is everybody's in scripts.
const password = "correct-horse"

// maxAnswer bounds what is read of one answer, in bytes.
const maxAnswer = 16 << 20

// signIn returns a token of a user, who gets an account if there is none.
func (s *session) signIn(ctx context.Context, user string) (token string, err error) {
	id := "org.couchdb.user:" + user
	body, err := json.Marshal(map[string]any{
		"_id": id, "name": user, "password": password, "email": user + "@acme.example",
		"type": "user", "roles": []string{}, "date": time.Now().UTC(),
	})
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, s.base()+"-/user/"+id, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	answer, err := askFor(req, http.StatusCreated)
	if err != nil {
		return "", err
	}
	if token = gjson.GetBytes(answer, "token").String(); token == "" {
		return "", fmt.Errorf("no token in %s", answer)
	}
	return token, nil
}

// useToken makes a token the client's one and only.
func (s *session) useToken(token string) error {
	if s.manager.Credentials == nil {
		return fmt.Errorf("nobody knows where this client keeps a token")
	}
	name, content := s.manager.Config(s.base())
	s.token = token
	return os.WriteFile(filepath.Join(s.home, name), []byte(content+s.manager.Credentials(s.base(), token)), 0o600)
}

// askFor sends a request and returns the body of the answer, whose status must
// be the given one.
func askFor(req *http.Request, status int) ([]byte, error) {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != status {
		return nil, fmt.Errorf("%s %s: %s, want %d: %s", req.Method, req.URL, resp.Status, status, body)
	}
	return body, nil
}

// checkPublished compares what Larder says of a version with the tarball that it
// serves.
func (s *session) checkPublished(ctx context.Context, name, version string) error {
	document, err := s.get(ctx, escape(name), http.StatusOK)
	if err != nil {
		return err
	}
	dist := gjson.GetBytes(document, "versions."+gjson.Escape(version)+".dist")
	where := tarballPath(name, version)
	if got := dist.Get("tarball").String(); got != s.base()+where {
		return fmt.Errorf("its tarball is at %q, not at %q", got, s.base()+where)
	}
	data, err := s.get(ctx, where, http.StatusOK)
	if err != nil {
		return err
	}
	sha512sum, sha1sum := sha512.Sum512(data), sha1.Sum(data)
	if got, want := dist.Get("integrity").String(), "sha512-"+base64.StdEncoding.EncodeToString(sha512sum[:]); got != want {
		return fmt.Errorf("integrity %s, but the tarball has %s", got, want)
	}
	if got, want := dist.Get("shasum").String(), hex.EncodeToString(sha1sum[:]); got != want {
		return fmt.Errorf("shasum %s, but the tarball has %s", got, want)
	}
	return nil
}

// checkGone makes sure that a version is nowhere.
func (s *session) checkGone(ctx context.Context, name, version string) error {
	_, errVersion := s.get(ctx, escape(name)+"/"+version, http.StatusNotFound)
	_, errTarball := s.get(ctx, tarballPath(name, version), http.StatusNotFound)
	return errors.Join(errVersion, errTarball)
}

// tags are the dist-tags of a package, each as TAG=VERSION, sorted.
func (s *session) tags(ctx context.Context, name string) ([]string, error) {
	answer, err := s.get(ctx, "-/package/"+escape(name)+"/dist-tags", http.StatusOK)
	if err != nil {
		return nil, err
	}
	var tags []string
	for tag, version := range gjson.ParseBytes(answer).Map() {
		tags = append(tags, tag+"="+version.String())
	}
	slices.Sort(tags)
	return tags, nil
}

// get asks Larder with the client's token for a path.
func (s *session) get(ctx context.Context, path string, status int) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base()+path, nil)
	if err != nil {
		return nil, err
	}
	if s.token != "" {
		req.Header.Set("Authorization", "Bearer "+s.token)
	}
	return askFor(req, status)
}

// escape is how clients write a name in a path.
func escape(name string) string { return strings.Replace(name, "/", "%2f", 1) }

// tarballPath is where clients look for a tarball.
func tarballPath(name, version string) string {
	return name + "/-/" + path.Base(name) + "-" + version + ".tgz"
}

// loginPage matches the URL of a login page of Larder's.
func (s *session) loginPage() *regexp.Regexp {
	return regexp.MustCompile(regexp.QuoteMeta(s.base()+"-/web/login/") + `[\w-]+`)
}

// submitLogin does at a login page what a person with a browser does.
func submitLogin(ctx context.Context, page, user string, create bool) error {
	form := url.Values{"user": {user}, "password": {password}}
	if create {
		page += "?create"
		form.Set("create", "1")
		form.Set("email", user+"@acme.example")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return err
	}
	shown, err := askFor(req, http.StatusOK)
	if err != nil {
		return err
	}
	for field := range form {
		if !bytes.Contains(shown, []byte(`name="`+field+`"`)) {
			return fmt.Errorf("the page has no field %q:\n%s", field, shown)
		}
	}
	req, err = http.NewRequestWithContext(ctx, http.MethodPost, page, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	_, err = askFor(req, http.StatusOK)
	return err
}

// scriptEnviron is the script's environment, which testscript tells to nobody but
// the commands that it runs.
func scriptEnviron(ts *testscript.TestScript) []string {
	ts.Check(ts.Exec("sh", "-c", `env >"$WORK/environment"`))
	return strings.Split(strings.TrimSpace(ts.ReadFile(ts.Getenv("WORK")+"/environment")), "\n")
}
