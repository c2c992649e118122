package proxy

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"

	"larder/npm"
)

// Bounds on the bodies of audits.
const (
	// maxAuditBody is for one, in bytes, both as sent and as unpacked. The tree
	// that pnpm 10 sends for a thousand packages is under one megabyte.
	maxAuditBody = 16 << 20
	// maxAuditMemory is for all that are being answered, together, in bytes of
	// memory: unpacked, and decoded. Packed, a thousandth of what they take
	// unpacked would be enough to ask for it, and nobody needs an account.
	maxAuditMemory = 128 << 20
	// auditValueMemory is what a value of the JSON takes once it is decoded, in
	// bytes: one in a map of its own, as in {"a":{}}, takes about twice that,
	// and has two of the characters that begin or part values.
	auditValueMemory = 256
	// auditBodyTime is for the client to send one.
	auditBodyTime = time.Minute
)

// auditBody reads the body of an audit: JSON, which npm, yarn 1 and bun pack
// with gzip. The caller calls release when it has answered.
func (s *Server) auditBody(x *exchange, r *http.Request) (doc []byte, release func(), err error) {
	c := http.NewResponseController(x)
	timed := c.SetReadDeadline(time.Now().Add(auditBodyTime)) == nil
	body := &rationed{budget: s.audits}
	if doc, err = readAuditBody(x, r, body); err != nil {
		body.release()
		return nil, nil, err
	}
	if timed {
		_ = c.SetReadDeadline(time.Time{}) // the connection is good for more
	}
	return doc, body.release, nil
}

func readAuditBody(x *exchange, r *http.Request, body *rationed) ([]byte, error) {
	invalid := func(msg string, err error) error {
		return &npm.Error{Kind: npm.Invalid, Op: "proxy.auditBody", Msg: msg, Err: err}
	}
	body.src = http.MaxBytesReader(x, r.Body, maxAuditBody)
	switch encoding := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding"))); encoding {
	case "", identity:
	case gzipEncoding, "x-gzip":
		unpacked, err := gzip.NewReader(body.src)
		if err != nil {
			return nil, invalid("the body is not gzip", err)
		}
		body.src = unpacked
	default:
		return nil, invalid("bodies packed with "+encoding+" are not understood", nil)
	}
	doc, err := io.ReadAll(io.LimitReader(body, maxAuditBody+1))
	var tooLarge *http.MaxBytesError
	var busy *npm.Error
	switch {
	case errors.As(err, &busy):
		return nil, busy
	case len(doc) > maxAuditBody || errors.As(err, &tooLarge):
		return nil, &npm.Error{Kind: npm.TooLarge, Op: "proxy.auditBody", Msg: "the body is over 16 MB", Err: err}
	case err != nil:
		return nil, invalid("the body breaks off", err)
	case !npm.ValidJSON(doc):
		return nil, invalid("the body is not JSON", nil)
	}
	return doc, nil
}

// rationed reads while a budget has room for what was read, and for what it
// decodes to. It does not wait for room: bodies that wait for each other's
// would never end.
type rationed struct {
	src    io.Reader
	budget *semaphore.Weighted // of bytes
	taken  int64
}

func (b *rationed) Read(p []byte) (int, error) {
	n, err := b.src.Read(p)
	values := bytes.Count(p[:n], []byte{','}) + bytes.Count(p[:n], []byte{'{'}) + bytes.Count(p[:n], []byte{'['})
	cost := int64(n) + int64(values)*auditValueMemory
	if !b.budget.TryAcquire(cost) {
		return 0, &npm.Error{Kind: npm.Unavailable, Op: "proxy.auditBody", Msg: "too many audits at once"}
	}
	b.taken += cost
	return n, err
}

// release gives back all that was taken. It is called once.
func (b *rationed) release() { b.budget.Release(b.taken) }
