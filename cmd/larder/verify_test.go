package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// files returns the files of a store of a kind ("blob", "tgz"), by path.
func files(t *testing.T, dir, kind string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(filepath.Join(dir, "objects"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasPrefix(d.Name(), kind+"-") && !strings.HasSuffix(d.Name(), ".meta") {
			found = append(found, path)
		}
		return err
	})
	if err != nil || len(found) == 0 {
		t.Fatalf("no %s in %s: %v", kind, dir, err)
	}
	return found
}

// flip changes a bit in the middle of a file, and nothing else of it.
func flip(t *testing.T, path string) {
	t.Helper()
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 4
	if err := os.WriteFile(path, data, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, time.Time{}, fi.ModTime()); err != nil {
		t.Fatal(err)
	}
}

// stocked starts a server that has a tarball in its cache and one of its own,
// and that does not scrub by itself.
func stocked(t *testing.T) (larder *running, stop func(), args []string, tarball []byte) {
	t.Helper()
	upstream, tarball, release := slowRegistry(t)
	release()
	args = append(serveArgs(t, upstream), "--config", write(t, "larder.yaml", "hosted: {reserved: ['@acme/*']}\ncache: {scrub_rate: 0}\n"))
	larder, stop = launch(t, nil, args...)
	base := larder.url()
	if status, body := get(t, base+"slow/-/slow-1.0.0.tgz"); status != http.StatusOK || body != string(tarball) {
		t.Fatalf("status %d with %d bytes", status, len(body))
	}
	must(t, "correct horse", "user", "add", "alice", "--data", args[4])
	token := strings.TrimSpace(must(t, "", "token", "create", "--user", "alice", "--data", args[4]))
	publish(t, base, token, "@acme/lib")
	return larder, stop, args, tarball
}

func TestVerify(t *testing.T) {
	larder, stop, args, tarball := stocked(t)
	data, base := args[4], larder.url()
	cached, private := filepath.Join(data, "cache", "v1"), hostedPath(data)
	verify := func(wantStatus int, more ...string) (stdout, stderr string) {
		t.Helper()
		status, stdout, stderr := cli(t, "", append([]string{"cache", "verify", "--data", data}, more...)...)
		if status != wantStatus {
			t.Errorf("verify %v: status %d, want %d\n%s%s", more, status, wantStatus, stdout, stderr)
		}
		return stdout, stderr
	}

	out, errs := verify(exitOK)
	good := regexp.MustCompile(`^Cached: [1-9]\d* files read, 1\.\d MB; 0 had rotted, 0 could not be read\.\n` +
		`Published here: 2 files read, .* 0 had rotted, 0 could not be read\.\n$`)
	if !good.MatchString(out) || errs != "" {
		t.Errorf("of what is right: %q, %q", out, errs)
	}

	flip(t, files(t, cached, "blob")[0])
	flip(t, files(t, private, "tgz")[0])
	out, errs = verify(exitFailure)
	if strings.Count(out, "; 1 had rotted, 0 could") != 2 || !strings.Contains(errs, `rotten: "slow/slow-1.0.0.tgz", `) ||
		!strings.Contains(errs, `rotten: "the tarball of @acme/lib@1.0.0", `) {
		t.Errorf("of what is rotten: %q, %q", out, errs)
	}
	files(t, cached, "rotten") // put aside
	if _, body := get(t, base+"slow/-/slow-1.0.0.tgz"); body != string(tarball) {
		t.Error("the running server serves other bytes afterwards")
	}

	out, _ = verify(exitFailure, "--json", "--restart", "--rate", "500MB")
	var result verified
	if err := json.Unmarshal([]byte(out), &result); err != nil || strings.Count(out, "\n") != 1 {
		t.Fatalf("%v: %q", err, out)
	}
	if !result.Complete || len(result.Found) != 1 || result.Found[0].Store != "hosted" || result.Found[0].What != "the tarball of @acme/lib@1.0.0" ||
		result.Stores[0].Rotten != 0 || result.Stores[1].Rotten != 1 {
		t.Errorf("%+v", result)
	}

	// A hosted file is untouched, not served, and an alarm; after a start, too.
	if status, _ := get(t, base+"@acme%2flib/-/lib-1.0.0.tgz"); status != http.StatusServiceUnavailable {
		t.Errorf("a damaged tarball: %d", status)
	}
	stop()
	larder.exit()
	larder, _ = launch(t, nil, args...)
	base = larder.url()
	if status, body := get(t, base+"@acme%2flib/-/lib-1.0.0.tgz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "restore it from a backup") {
		t.Errorf("a damaged tarball: %d %.200s", status, body)
	}
	if status, body := get(t, base+"-/health/ready"); status != http.StatusOK || !strings.Contains(body, `"degraded"`) || !strings.Contains(body, "lib-1.0.0.tgz, published here, is damaged") {
		t.Errorf("health: %d %s", status, body)
	}
	flip(t, files(t, private, "tgz")[0]) // right again, with the same times
	verify(exitOK)
}

func TestVerifyOfNothing(t *testing.T) {
	if status, out, errs := cli(t, "", "cache", "verify", "--data", t.TempDir()); status != exitOK || out != "Nothing lies on disk.\n" {
		t.Errorf("%d %q %q", status, out, errs)
	}
	missing := filepath.Join(t.TempDir(), "missing")
	if status, _, errs := cli(t, "", "cache", "verify", "--data", missing); status != exitFailure || !strings.Contains(errs, "data directory: stat") {
		t.Errorf("%d %q", status, errs)
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("it was made")
	}
	if status, _, errs := cli(t, "", "cache", "verify", "--rate", "quick"); status != exitUsage || !strings.Contains(errs, "must be a size, like 64MB") {
		t.Errorf("%d %q", status, errs)
	}
}

// A verification that is stopped goes on where it was, and finds each rotten
// file once.
func TestVerifyGoesOn(t *testing.T) {
	larder, stop, args, _ := stocked(t)
	data := args[4]
	stop()
	larder.exit()
	for _, path := range append(files(t, filepath.Join(data, "cache", "v1"), "head"), files(t, hostedPath(data), "tgz")...) {
		flip(t, path)
	}
	var all verified
	found := 0
	for calls := 1; ; calls++ {
		if calls > 200 {
			t.Fatal("it never ends")
		}
		ctx, cancel := context.WithCancel(t.Context())
		var out, errs bytes.Buffer
		status := run(ctx, []string{"cache", "verify", "--json", "--data", data}, nil, strings.NewReader(""), &out, &cutter{&errs, cancel})
		cancel()
		if err := json.Unmarshal(out.Bytes(), &all); err != nil {
			t.Fatalf("%v: %s, %s", err, &out, &errs)
		}
		found += len(all.Found)
		if status != exitFailure {
			t.Fatalf("status %d: %s", status, &errs)
		}
		if all.Complete {
			if calls == 1 {
				t.Error("it was never stopped")
			}
			break
		}
		if !strings.Contains(errs.String(), "the same command goes on from here") {
			t.Errorf("stopped with %q", &errs)
		}
	}
	want := int64(0)
	for _, s := range all.Stores {
		want += s.Rotten
	}
	if int64(found) != want || want < 2 {
		t.Errorf("found %d rotten files in all, the result says %d: %+v", found, want, all)
	}
}

// cutter stops a command when it tells of the first rotten file.
type cutter struct {
	*bytes.Buffer
	stop func()
}

func (c *cutter) Write(p []byte) (int, error) {
	if bytes.HasPrefix(p, []byte("rotten: ")) {
		c.stop()
	}
	return c.Buffer.Write(p)
}

func TestProgress(t *testing.T) {
	now := time.Unix(1e9, 0)
	show := func(tty bool, width int) string {
		var out bytes.Buffer
		p := newProgress(&out)
		p.tty, p.width, p.now = tty, width, func() time.Time { return now }
		p.begin(1e6)
		for i := range 100 {
			now = now.Add(100 * time.Millisecond)
			p.show("cached", 1e6+int64(i+1)*1e6, 201e6)
		}
		p.clear()
		return out.String()
	}
	lines := show(false, 0)
	if want := "cached: 51.0 MB of 201.0 MB, 25 %, 10.0 MB/s, 15s left\n"; !strings.HasPrefix(lines, want) || strings.Count(lines, "\n") != 2 {
		t.Errorf("lines: %q", lines)
	}
	bars := show(true, 100)
	if strings.Contains(bars, "\n") || strings.Count(bars, "\r") != 51 || !strings.Contains(bars, "[############------------] cached: 101.0 MB of") {
		t.Errorf("bars: %q", bars)
	}
	for _, line := range strings.Split(show(true, 20), "\r\x1b[K") {
		if len(line) > 19 {
			t.Errorf("%q breaks a terminal of 20 characters", line)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1500: "1.5 KB", 2e9: "2.0 GB", 3e12: "3.0 TB"} {
		if got := roughly(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}
