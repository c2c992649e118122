package test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"larder/test/rig"
)

const (
	// largeTarball is such that the body of its publish has 150 MB.
	largeTarball = 112 << 20
	// largeRSS bounds the memory of a Larder that takes it, in bytes.
	largeRSS = 100 << 20
)

// writeLarge writes the tarball of a package with a file of so many bytes that
// do not compress. It is the same each time.
func writeLarge(w io.Writer, packageJSON string, size int64) error {
	zw, err := gzip.NewWriterLevel(w, gzip.NoCompression)
	if err != nil {
		return err
	}
	tw := tar.NewWriter(zw)
	noise := rand.NewChaCha8([32]byte{1})
	for _, file := range []struct {
		name string
		size int64
		body io.Reader
	}{
		{"package/package.json", int64(len(packageJSON)), strings.NewReader(packageJSON)},
		{"package/noise.bin", size, io.LimitReader(noise, size)},
	} {
		if err := tw.WriteHeader(&tar.Header{Name: file.name, Mode: 0o644, Size: file.size}); err != nil {
			return err
		}
		if _, err := io.CopyBuffer(struct{ io.Writer }{tw}, struct{ io.Reader }{file.body}, make([]byte, 1<<20)); err != nil {
			return err
		}
	}
	if err := tw.Close(); err != nil {
		return err
	}
	return zw.Close()
}

// counter counts what is written.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

func TestChecklist56_LargeBodyIsStreamed(t *testing.T) {
	if testing.Short() {
		t.Skip("it publishes 112 MB")
	}
	p := newIdlePair(t, "LARDER_HOSTED_RESERVED=@acme/*")
	p.binary = rig.Plain(t)
	p.start(t)
	alice := p.adduser(t, "alice")

	r := lib("@acme/large", "1.0.0")
	packageJSON := mustJSON(t, r.members())
	sha2, sha1 := sha512.New(), sha1.New()
	var size counter
	if err := writeLarge(io.MultiWriter(sha2, sha1, &size), packageJSON, largeTarball); err != nil {
		t.Fatal(err)
	}
	tgz := archive{integrity: "sha512-" + base64.StdEncoding.EncodeToString(sha2.Sum(nil)), shasum: hex.EncodeToString(sha1.Sum(nil))}

	// As npm sends it, but for the data, which is written as it is made.
	const hole = "DATA"
	text := mustJSON(t, npmBody(p.url(), r, tgz).with("_attachments", object{
		{r.key(), object{{"content_type", "application/octet-stream"}, {"data", hole}, {"length", int64(size)}}},
	}))
	head, rest, _ := strings.Cut(text, hole)
	body, w := io.Pipe()
	go func() {
		_, err := io.WriteString(w, head)
		data := base64.NewEncoder(base64.StdEncoding, w)
		if err == nil {
			err = writeLarge(data, packageJSON, largeTarball)
		}
		if err == nil {
			err = data.Close()
		}
		if err == nil {
			_, err = io.WriteString(w, rest)
		}
		w.CloseWithError(err)
	}()
	length := int64(len(head)) + int64(base64.StdEncoding.EncodedLen(int(size))) + int64(len(rest))
	answer, err := p.upload(escaped(r.name), body, length, alice.auth())
	if err != nil {
		t.Fatal(err)
	}
	answer.wantWritten(t)
	t.Logf("the body had %d MB", length>>20)

	m := manifestOf(t, p.ok(t, escaped(r.name)).body, r.version)
	if m.Get("dist.integrity").String() != tgz.integrity || m.Get("dist.shasum").String() != tgz.shasum {
		t.Errorf("dist is %s", m.Get("dist"))
	}
	got := sha512.New()
	resp, err := p.client.Get(p.url() + r.path())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(got, resp.Body); err != nil || "sha512-"+base64.StdEncoding.EncodeToString(got.Sum(nil)) != tgz.integrity {
		t.Errorf("another tarball is served: %v", err)
	}
	checkPeak(t, p.larder, "a publish of 150 MB", largeRSS)
}

// upload puts a body of a length that is told beforehand, or of -1.
func (p *pair) upload(path string, body io.Reader, length int64, headers ...string) (reply, error) {
	req, err := http.NewRequest(http.MethodPut, p.url()+path, body)
	if err != nil {
		return reply{}, err
	}
	req.ContentLength = length
	req.Header.Set("Content-Type", "application/json")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := (&http.Client{Timeout: 2 * patience}).Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	r := reply{status: resp.StatusCode, header: resp.Header}
	r.body, err = io.ReadAll(resp.Body)
	return r, err
}

func TestChecklist56_TooLargeIsSaidBeforeTheEnd(t *testing.T) {
	p := newPair(t, "LARDER_HOSTED_RESERVED=@acme/*", "LARDER_HOSTED_MAX_PUBLISH=1MB")
	alice := p.adduser(t, "alice")
	before := p.published(t)
	var tgz bytes.Buffer
	if err := writeLarge(&tgz, `{"name":"@acme/large","version":"1.0.0"}`, 2<<20); err != nil {
		t.Fatal(err)
	}
	head := `{"_id":"@acme/large","name":"@acme/large","_attachments":{"@acme/large-1.0.0.tgz":{"data":"` + base64.StdEncoding.EncodeToString(tgz.Bytes())

	// A client that says how much it will send, and another that does not, have
	// their answer while most of it is still to come. They get some seconds for
	// that: one that sends without listening would have its connection reset.
	t.Run("while it sends", func(t *testing.T) {
		for name, framing := range map[string]string{
			"length told": fmt.Sprintf("Content-Length: %d\r\n\r\n%s", 300<<20, head),
			"in chunks":   fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(head), head),
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				p.halfPut(t, alice, framing).wantRefusal(t, http.StatusRequestEntityTooLarge)
			})
		}
	})

	// And one that listens only when it has sent everything, as npm does, hears
	// of it, too, instead of a connection that was reset.
	for _, length := range []int64{20 << 20, -1} {
		answer, err := p.upload("/@acme%2flarge", io.LimitReader(io.MultiReader(strings.NewReader(head), endless{}), 20<<20), length, alice.auth())
		if err != nil {
			t.Fatal(err)
		}
		answer.wantRefusal(t, http.StatusRequestEntityTooLarge)
		if got := gjson.GetBytes(answer.body, "error").String(); !strings.Contains(got, "large") {
			t.Errorf("it says %q", got)
		}
	}
	// Nor may the rest of a body be without end.
	answer, err := p.upload("/@acme%2flarge", io.LimitReader(io.MultiReader(strings.NewReader(`{"name":"@acme/large","readme":"`), endless{}), 100<<20), -1, alice.auth())
	if err != nil {
		t.Fatal(err)
	}
	answer.wantRefusal(t, http.StatusRequestEntityTooLarge)
	p.get(t, "/@acme%2flarge").wantRefusal(t, http.StatusNotFound)
	if after := p.published(t); len(after) != len(before) {
		t.Errorf("stored: %q, at first it was %q", after, before)
	}
	p.publish(t, alice, lib("@acme/small", "1.0.0"))
}

// halfPut begins a PUT, whose framing ends in the middle of the body, and
// returns the answer.
func (p *pair) halfPut(t *testing.T, a account, framing string) reply {
	t.Helper()
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(p.url(), "http://"), patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	go func() { // an error means that nobody listens any more
		_, _ = fmt.Fprintf(conn, "PUT /@acme%%2flarge HTTP/1.1\r\nHost: x.example\r\n%s\r\nContent-Type: application/json\r\n%s", a.auth(), framing)
	}()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, body}
}

// endless is base64 without end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	return copy(p, bytes.Repeat([]byte{'A'}, len(p))), nil
}
