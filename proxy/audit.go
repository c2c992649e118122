package proxy

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"larder/npm"
	"larder/upstream"
)

// auditBulk answers POST /-/npm/v1/security/advisories/bulk. Each upstream
// hears only of the packages that it answers for, and the advisories are
// joined. An upstream without that endpoint counts as knowing nothing, unless
// all are so: a client must not read "found 0 vulnerabilities" where nobody
// looked.
func (s *Server) auditBulk(x *exchange, r *http.Request) error {
	body, release, err := s.auditBody(x, r)
	if err != nil {
		return err
	}
	defer release()
	var asked object
	if err := json.Unmarshal(body, &asked); err != nil || asked == nil {
		return &npm.Error{Kind: npm.Invalid, Op: "proxy.auditBulk", Msg: "the body is not a JSON object of versions by name", Err: err}
	}
	if len(asked) == 0 {
		return x.sendJSON(r, noStore, []byte("{}")) // true whoever is asked
	}
	shares := s.split(r.Context(), asked)
	if len(shares) == 0 && len(s.cfg.Upstreams) > 0 {
		return x.sendJSON(r, noStore, []byte("{}")) // private packages alone, of which nobody else knows a thing
	}
	started := time.Now()
	advisories, err := askEach(r.Context(), shares)
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

// split divides a bulk audit by upstream. Names that none answers for, private
// ones above all, are nobody's business.
func (s *Server) split(ctx context.Context, asked object) []*share {
	var shares []*share
	of := make(map[*upstream.Registry]*share)
	for name, versions := range asked {
		reg := s.publicSource(ctx, name)
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
