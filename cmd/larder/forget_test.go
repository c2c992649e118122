package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// packed returns a tarball that can be published, with a file of so many
// random bytes in it.
func packed(t *testing.T, name, version string, filling int) []byte {
	t.Helper()
	random := make([]byte, filling)
	rand.Read(random)
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	files := tar.NewWriter(zipped)
	for _, file := range []struct {
		name string
		data []byte
	}{{"package/package.json", fmt.Appendf(nil, `{"name":%q,"version":%q}`, name, version)}, {"package/filling", random}} {
		err := files.WriteHeader(&tar.Header{Name: file.name, Mode: 0o644, Size: int64(len(file.data))})
		if err == nil {
			_, err = files.Write(file.data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(files.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// send sends a request with a token and returns the status.
func send(t *testing.T, method, url, token string, body []byte) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode >= 400 {
		t.Logf("%s %s: %d %s", method, url, res.StatusCode, text)
	}
	return res.StatusCode
}

// publication returns the body by which npm publishes name@version.
func publication(t *testing.T, name, version string, filling int) []byte {
	t.Helper()
	tarball := packed(t, name, version, filling)
	file := name + "-" + version + ".tgz"
	body, err := json.Marshal(map[string]any{
		"_id": name, "name": name, "dist-tags": map[string]string{"latest": version},
		"versions": map[string]any{version: map[string]any{"name": name, "version": version, "dist": map[string]any{}}},
		"_attachments": map[string]any{file: map[string]any{
			"content_type": "application/octet-stream", "length": len(tarball), "data": base64.StdEncoding.EncodeToString(tarball),
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// publish publishes name@1.0.0.
func publish(t *testing.T, base, token, name string) {
	t.Helper()
	status := send(t, http.MethodPut, base+url.PathEscape(name), token, publication(t, name, "1.0.0", 1))
	if status != http.StatusCreated && status != http.StatusOK {
		t.Fatalf("publish %s: status %d", name, status)
	}
}

func TestForget(t *testing.T) {
	args := append(serveArgs(t, "http://127.0.0.1:1/"), "--config", write(t, "larder.yaml", "hosted: {reserved: ['@acme/*']}"))
	data := args[4]
	larder, stop := launch(t, nil, args...)
	base := larder.url()
	must(t, "correct horse", "user", "add", "alice", "--data", data)
	token := strings.TrimSpace(must(t, "", "token", "create", "--user", "alice", "--data", data))
	publish(t, base, token, "@acme/lib")
	publish(t, base, token, "@acme/old")
	if got := must(t, "", "hosted", "ls", "--data", data); got != "@acme/lib\n@acme/old\n" {
		t.Errorf("beside the server: %q", got)
	}
	if status := send(t, http.MethodDelete, base+"@acme%2fold/-rev/undefined", token, nil); status != http.StatusOK {
		t.Fatalf("unpublish: status %d", status)
	}
	forget := func(stdin string, wantStatus int, want string, args ...string) {
		t.Helper()
		status, stdout, stderr := cli(t, stdin, append([]string{"hosted", "forget", "--data", data}, args...)...)
		if status != wantStatus || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("forget %v: status %d, want %d: %q, want %q in it", args, status, wantStatus, stderr, want)
		}
	}
	publish(t, base, token, "@acme/live")
	forget("", exitFailure, "@acme/live has versions; unpublish it first", "@acme/live", "--yes")
	forget("", exitFailure, "@acme/new was never published here", "@acme/new", "--yes")
	if status := send(t, http.MethodDelete, base+"@acme%2flive/-rev/undefined", token, nil); status != http.StatusOK {
		t.Fatalf("unpublish: status %d", status)
	}
	forget("n\n", exitFailure, "nothing was changed", "@acme/live")
	forget("y\n", exitOK, "@acme/live is forgotten, nobody will find it", "@acme/live") // as the server's configuration has it
	forget("", exitFailure, "@acme/live was never published here", "@acme/live", "--yes")
	publish(t, base, token, "@acme/live") // the same version again
	if status := send(t, http.MethodDelete, base+"@acme%2flive/-rev/undefined", token, nil); status != http.StatusOK {
		t.Fatalf("unpublish: status %d", status)
	}
	forget("", exitOK, "Forgot @acme/live.", "@acme/live", "--yes")
	if err := os.Remove(controlPath(data)); err != nil {
		t.Fatal(err)
	}
	forget("", exitFailure, fmt.Sprintf("is in use by another larder (process %d); stop it first", os.Getpid()), "@acme/old", "--yes")
	stop()
	larder.exit()
	if got := must(t, "", "hosted", "ls", "--data", data); got != "@acme/lib\n@acme/old\tunpublished\n" {
		t.Errorf("without the server: %q", got)
	}

	if status, _, stderr := cli(t, "", "config", "check", "--data", data); status != exitOK || strings.Count(stderr, "\n") != 1 ||
		!strings.Contains(stderr, `warning: hosted.reserved: @acme/lib is published here, but its scope is not reserved: `) {
		t.Errorf("config check: status %d, %s", status, stderr)
	}

	forget("", exitUsage, "is not a package name", "@acme")
	forget("", exitFailure, "@acme/new was never published here", "@acme/new", "--yes")
	forget("", exitFailure, "@acme/lib has versions; unpublish it first", "@acme/lib", "--yes")
	forget("n\n", exitFailure, `Once @acme/old is forgotten, installs will ask upstream "npm" for it`, "@acme/old")
	forget("", exitFailure, "nothing was changed; --yes does it without asking", "@acme/old")
	forget("y\n", exitOK, "@acme/old is forgotten, nobody will find it", "@acme/old", "--config", write(t, "l.yaml", "hosted: {reserved: ['@acme/*']}"))
	forget("", exitFailure, "@acme/old was never published here", "@acme/old", "--yes")
	if got := must(t, "", "hosted", "ls", "--data", data); got != "@acme/lib\n" {
		t.Errorf("left: %q", got)
	}
	log, err := os.ReadFile(auditPath(data))
	if want := `"action":"hosted.forget","package":"@acme/live"`; err != nil || strings.Count(string(log), want) != 2 ||
		!strings.Contains(string(log), `"actor":"cli:`+systemUser()+`",`+want) {
		t.Errorf("not two %s in\n%s", want, log)
	}
	if want := `"action":"hosted.forget","package":"@acme/old"`; err != nil || strings.Count(string(log), want) != 1 {
		t.Errorf("not one %s in\n%s", want, log)
	}
}

func TestNewerHostedStopsTheStart(t *testing.T) {
	args := serveArgs(t, "http://127.0.0.1:1/")
	dir := hostedPath(args[4])
	if err := os.Mkdir(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "format"), []byte(`{"format":2,"larder":"9.8.7"}`), 0o640); err != nil {
		t.Fatal(err)
	}
	larder, _ := launch(t, nil, args...)
	if status := larder.exit(); status != exitFailure || !strings.Contains(larder.output(), dir+" was written by larder 9.8.7, which is newer") {
		t.Errorf("status %d: %s", status, larder.output())
	}
}
