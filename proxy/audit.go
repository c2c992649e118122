package proxy

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"larder/npm"
	"larder/upstream"
)

// maxAuditBody bounds the body of an audit, in bytes, both as sent and as
// unpacked. The tree that pnpm 10 sends for a thousand packages is under one
// megabyte.
const maxAuditBody = 16 << 20

// auditBulk answers POST /-/npm/v1/security/advisories/bulk. Each upstream
// hears only of the packages that it answers for, and the advisories are
// joined. An upstream without that endpoint counts as knowing nothing, unless
// all are so: a client must not read "found 0 vulnerabilities" where nobody
// looked.
func (s *Server) auditBulk(x *exchange, r *http.Request) error {
	body, err := auditBody(x, r)
	if err != nil {
		return err
	}
	var asked object
	if err := json.Unmarshal(body, &asked); err != nil {
		return &npm.Error{Kind: npm.Invalid, Op: "proxy.auditBulk", Msg: "the body is not a JSON object of versions by name", Err: err}
	}
	started := time.Now()
	advisories, err := askEach(r.Context(), s.split(asked))
	x.waitedSince(started)
	if err != nil {
		return unserviceable("audit", err)
	}
	joined, err := encode(advisories)
	if err != nil {
		return err
	}
	return x.sendJSON(r, noStore, joined)
}

// share is what one upstream is asked about, and what it says.
type share struct {
	reg        *upstream.Registry
	asked      object
	advisories object
	missing    error // upstream does not have the endpoint
}

// split divides a bulk audit by upstream. Names that none answers for are
// nobody's business.
func (s *Server) split(asked object) []*share {
	var shares []*share
	of := make(map[*upstream.Registry]*share)
	for name, versions := range asked {
		reg := s.publicSource(name)
		if reg == nil {
			continue
		}
		if of[reg] == nil {
			of[reg] = &share{reg: reg, asked: object{}}
			shares = append(shares, of[reg])
		}
		of[reg].asked[name] = versions
	}
	return shares
}

// publicSource is source for a name out of a request's body: nil where it is
// no name, or no upstream answers for it.
func (s *Server) publicSource(name string) *upstream.Registry {
	if npm.CheckName(name) != nil {
		return nil
	}
	reg, err := s.source(name)
	if err != nil {
		return nil
	}
	return reg
}

// askEach posts each share to its upstream, all at once, and joins the
// answers: of each only what it was asked about.
func askEach(ctx context.Context, shares []*share) (object, error) {
	g, ctx := errgroup.WithContext(ctx)
	for _, sh := range shares {
		g.Go(func() error { return sh.ask(ctx) })
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	joined, answers := object{}, 0
	var missing error = &npm.Error{Kind: npm.NotFound, Op: "proxy.auditBulk"}
	for _, sh := range shares {
		if sh.missing != nil {
			missing = sh.missing
			continue
		}
		answers++
		for name, list := range sh.advisories {
			if _, ok := sh.asked[name]; ok {
				joined[name] = list
			}
		}
	}
	if answers == 0 {
		return nil, missing
	}
	return joined, nil
}

func (sh *share) ask(ctx context.Context) error {
	body, err := encode(sh.asked)
	if err != nil {
		return err
	}
	answer, err := sh.reg.Post(ctx, bulkAuditPath, body)
	switch {
	case err == nil:
		return json.Unmarshal(answer, &sh.advisories)
	case npm.KindOf(err) == npm.NotFound:
		sh.missing = err
		return nil
	}
	return err
}

// auditBody reads the body of an audit: JSON, which npm, yarn 1 and bun pack
// with gzip.
func auditBody(x *exchange, r *http.Request) ([]byte, error) {
	invalid := func(msg string, err error) error {
		return &npm.Error{Kind: npm.Invalid, Op: "proxy.auditBody", Msg: msg, Err: err}
	}
	var body io.Reader = http.MaxBytesReader(x, r.Body, maxAuditBody)
	switch encoding := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding"))); encoding {
	case "", identity:
	case gzipEncoding, "x-gzip":
		unpacked, err := gzip.NewReader(body)
		if err != nil {
			return nil, invalid("the body is not gzip", err)
		}
		body = unpacked
	default:
		return nil, invalid("bodies packed with "+encoding+" are not understood", nil)
	}
	doc, err := io.ReadAll(io.LimitReader(body, maxAuditBody+1))
	var tooLarge *http.MaxBytesError
	switch {
	case len(doc) > maxAuditBody || errors.As(err, &tooLarge):
		return nil, &npm.Error{Kind: npm.TooLarge, Op: "proxy.auditBody", Msg: "the body is over 16 MB", Err: err}
	case err != nil:
		return nil, invalid("the body breaks off", err)
	case !npm.ValidJSON(doc):
		return nil, invalid("the body is not JSON", nil)
	}
	return doc, nil
}
