package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// reply is an answer as it came over the wire.
type reply struct {
	status int
	header http.Header
	body   []byte
	took   time.Duration
}

// asker sends single requests as they are: it asks for no encoding by itself
// and unpacks none.
var asker = &http.Client{Transport: &http.Transport{DisableCompression: true}, Timeout: patience}

func ask(ctx context.Context, r Request) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL, nil)
	if err != nil {
		return reply{}, err
	}
	req.Header = r.Header.Clone()
	begin := time.Now()
	resp, err := asker.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, body, time.Since(begin)}, err
}

// checker compares servers' answers with upstream's.
type checker struct {
	upstream string                     // URL with a slash at its end
	good     map[[sha512.Size]byte]bool // hashes of requests and answers that were found to be right
}

func newChecker(upstream string) *checker { return &checker{upstream, map[[sha512.Size]byte]bool{}} }

// check asks a server for what h is about and compares the answer with
// upstream's own. It returns the request that the load is made of, and the
// answer to it.
func (c *checker) check(ctx context.Context, h hit, base string) (Request, reply, error) {
	entire := h
	entire.how = whole
	full, err := ask(ctx, entire.request(base, ""))
	if err == nil {
		err = c.same(ctx, entire, full)
	}
	if err != nil {
		return Request{}, reply{}, err
	}
	req := h.request(base, full.header.Get("ETag"))
	if h.how == whole {
		return req, full, nil
	}
	got, err := ask(ctx, req)
	if err != nil {
		return req, got, err
	}
	return req, got, h.checkSpecial(got, full)
}

// same tells whether an answer is upstream's, as far as it must be.
func (c *checker) same(ctx context.Context, h hit, got reply) error {
	if err := checkStatus(got, http.StatusOK); err != nil {
		return err
	}
	key := sha512.Sum512(append(fmt.Appendf(nil, "%s %s %s\n", h.name, h.accept, got.header.Get("Content-Encoding")), got.body...))
	if c.good[key] {
		return nil
	}
	want, err := ask(ctx, h.request(c.upstream, ""))
	if err == nil {
		err = checkStatus(want, http.StatusOK)
	}
	if err != nil {
		return fmt.Errorf("upstream: %w", err)
	}
	if err := sameBody(h, got, want); err != nil {
		return err
	}
	c.good[key] = true
	return nil
}

func checkStatus(r reply, want int) error {
	if r.status != want {
		return fmt.Errorf("status %d, want %d", r.status, want)
	}
	return nil
}

func sameBody(h hit, got, want reply) error {
	if h.accept == "" {
		if !bytes.Equal(got.body, want.body) {
			return fmt.Errorf("%d bytes that are not upstream's %d", len(got.body), len(want.body))
		}
		return nil
	}
	g, err := documentOf(got)
	if err != nil {
		return err
	}
	w, err := documentOf(want)
	if err != nil {
		return err
	}
	return sameDocument(g, w)
}

// documentOf is the body without its encoding.
func documentOf(r reply) ([]byte, error) {
	switch coding := r.header.Get("Content-Encoding"); coding {
	case "":
		return r.body, nil
	case "gzip":
		in, err := gzip.NewReader(bytes.NewReader(r.body))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(in)
	default:
		return nil, fmt.Errorf("Content-Encoding %s", coding)
	}
}

// sameDocument compares what an install depends on. The tarballs' URLs differ,
// and what else a server adds, drops or reorders is its own affair.
func sameDocument(got, want []byte) error {
	if !gjson.ValidBytes(got) {
		return errors.New("not JSON")
	}
	versions, wanted := gjson.GetBytes(got, "versions").Map(), gjson.GetBytes(want, "versions").Map()
	if len(versions) != len(wanted) {
		return fmt.Errorf("%d versions, upstream has %d", len(versions), len(wanted))
	}
	for version, w := range wanted {
		g := versions[version]
		for _, key := range []string{"dist.integrity", "dependencies"} {
			if g, w := g.Get(key+"|@ugly").Raw, w.Get(key+"|@ugly").Raw; g != w {
				return fmt.Errorf("%s of version %s is %.100q, upstream's %.100q", key, version, g, w)
			}
		}
		if url := g.Get("dist.tarball").String(); !strings.HasSuffix(url, ".tgz") {
			return fmt.Errorf("the tarball of version %s is %q", version, url)
		}
	}
	if g, w := gjson.GetBytes(got, "dist-tags.latest").String(), gjson.GetBytes(want, "dist-tags.latest").String(); g != w {
		return fmt.Errorf("latest is %q, upstream's is %q", g, w)
	}
	return nil
}

// byteRange is a tenth of the tarball, out of its middle.
func (h hit) byteRange() string {
	size := h.shape.Filler
	return fmt.Sprintf("bytes=%d-%d", size/2, size/2+size/10-1)
}

// checkSpecial looks at an answer that is not the whole.
func (h hit) checkSpecial(got, full reply) error {
	switch h.how {
	case revalidated:
		if err := checkStatus(got, http.StatusNotModified); err != nil {
			return err
		}
	case head:
		if err := checkStatus(got, http.StatusOK); err != nil {
			return err
		}
		// Without a length the answer to GET came in chunks: nothing to compare with.
		if g, w := got.header.Get("Content-Length"), full.header.Get("Content-Length"); w != "" && g != w {
			return fmt.Errorf("Content-Length %q, that of GET is %q", g, w)
		}
	case part:
		if err := checkStatus(got, http.StatusPartialContent); err != nil {
			return err
		}
		size := h.shape.Filler
		if !bytes.Equal(got.body, full.body[size/2:size/2+size/10]) {
			return fmt.Errorf("%d bytes that are not those of the range", len(got.body))
		}
		return nil
	}
	if len(got.body) > 0 {
		return fmt.Errorf("a body of %d bytes", len(got.body))
	}
	return nil
}
