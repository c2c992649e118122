package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path"
	"strconv"
	"sync"
	"time"

	"larder/test/rig"
)

// Bounds on a client's patience.
const (
	// warmPatience is for what must be answered at once, or after the few
	// seconds that Larder waits for an upstream before it serves an old copy.
	warmPatience = 25 * time.Second
	// coldPatience is short, so that clients leave while upstream hangs.
	coldPatience = 6 * time.Second
)

// request is one thing that a client may want.
type request struct {
	what     string // for the books
	method   string
	goods    *goods
	path     string
	subject  string // what Larder holds if it answered once: a package or a path
	header   []string
	base     string // that the answer must name
	hangUp   int64  // bytes after which the client leaves; 0: it stays
	accepted func(resp *http.Response, body []byte) error
}

// bases are the hosts under which clients know Larder, more than it keeps
// documents for. "" is the address that they connect to.
var bases = []string{"", "", "npm-a.example", "npm-b.example:8080", "c.example", "d.example", "e.example", "f.example"}

// draw returns a random request for g.
func draw(r *rig.Rig, g *goods, dice *rand.Rand) request {
	version := stockVersions[dice.IntN(len(stockVersions))]
	q := request{method: http.MethodGet, goods: g, base: r.Base}
	if host := bases[dice.IntN(len(bases))]; host != "" {
		q.base = "http://" + host + "/"
		q.header = append(q.header, "Host", host)
	}
	if dice.IntN(5) == 0 {
		q.header = append(q.header, "Accept-Encoding", "identity")
	}
	if dice.IntN(20) == 0 {
		q.header = append(q.header, "Cache-Control", "no-cache")
	}
	switch n := dice.IntN(100); {
	case n < 25:
		return q.packument(r, true)
	case n < 45:
		return q.packument(r, false)
	case n < 55:
		return q.version(r, version)
	case n < 80:
		return q.tarball(version)
	case n < 88:
		return q.part(version, dice)
	case n < 92:
		return q.head(version)
	default:
		q = q.tarball(version)
		q.what, q.hangUp = "hung up", 1+dice.Int64N(50_000)
		return q
	}
}

func (q request) packument(r *rig.Rig, full bool) request {
	accept := rig.Abbreviated
	q.what = "abbreviated"
	if full {
		accept, q.what = rig.Full, "full"
	}
	q.path, q.subject = q.goods.name, q.goods.name
	q.header = append(q.header, "Accept", accept)
	q.accepted = func(_ *http.Response, body []byte) error {
		return q.goods.checkPackument(body, full, q.base, r.Source)
	}
	return q
}

func (q request) version(r *rig.Rig, version string) request {
	q.what = "version"
	q.path = q.goods.name + "/" + version
	q.subject = q.path
	q.accepted = func(_ *http.Response, body []byte) error {
		return q.goods.checkVersion(body, version, q.base, r.Source)
	}
	return q
}

func (q request) tarball(version string) request {
	q.what = "tarball"
	q.path = q.goods.tarballPath(version)
	q.subject = q.path
	want := q.goods.tarballs[version]
	q.accepted = func(resp *http.Response, body []byte) error {
		if !bytes.Equal(body, want) {
			return wrong("tarball %s: %d bytes, want %d", q.path, len(body), len(want))
		}
		return nil
	}
	return q
}

func (q request) part(version string, dice *rand.Rand) request {
	q = q.tarball(version)
	q.what = "part"
	want := q.goods.tarballs[version]
	from := dice.IntN(len(want))
	to := from + dice.IntN(len(want)-from)
	q.header = append(q.header, "Range", fmt.Sprintf("bytes=%d-%d", from, to))
	q.accepted = func(resp *http.Response, body []byte) error {
		span := fmt.Sprintf("bytes %d-%d/%d", from, to, len(want))
		if resp.StatusCode != http.StatusPartialContent || resp.Header.Get("Content-Range") != span || !bytes.Equal(body, want[from:to+1]) {
			return wrong("tarball %s: %s of %q, %d bytes, want %q", q.path, resp.Status, resp.Header.Get("Content-Range"), len(body), span)
		}
		return nil
	}
	return q
}

func (q request) head(version string) request {
	q = q.tarball(version)
	q.what, q.method = "head", http.MethodHead
	want := int64(len(q.goods.tarballs[version]))
	q.accepted = func(resp *http.Response, _ []byte) error {
		if resp.ContentLength != want {
			return wrong("head of tarball %s: Content-Length %d, want %d", q.path, resp.ContentLength, want)
		}
		return nil
	}
	return q
}

// orAbbreviated also accepts what is made of the abbreviated form where the full
// one is asked for: while upstream fails, Larder answers with what it holds.
func (q request) orAbbreviated(r *rig.Rig) request {
	strictly := q.accepted
	q.accepted = func(resp *http.Response, body []byte) error {
		err := strictly(resp, body)
		switch {
		case err == nil:
		case q.what == "full":
			return q.goods.checkPackument(body, false, q.base, r.Source)
		case q.what == "version":
			return q.goods.checkManifest(bytes.ReplaceAll(body, []byte(q.base), []byte(r.Source)), path.Base(q.path))
		}
		return err
	}
	return q
}

// ledger notes what happened, from many goroutines.
type ledger struct {
	mu        sync.Mutex // guards what follows
	held      map[string]bool
	completed map[string]request // one that was answered well, by kind and path
	counts    map[string]int     // by kind and outcome
	problems  []error            // the first maxProblems
}

// maxProblems is how many are told of: the first say it all.
const maxProblems = 20

func newLedger() *ledger {
	return &ledger{held: map[string]bool{}, completed: map[string]request{}, counts: map[string]int{}}
}

func (l *ledger) holds(subject string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held[subject]
}

func (l *ledger) note(q request, outcome string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[q.what+": "+outcome]++
	if outcome == "right" {
		l.held[q.subject] = true
		l.completed[q.what+" "+q.path] = q
	}
	if err != nil && len(l.problems) < maxProblems {
		l.problems = append(l.problems, err)
	}
}

// do sends a request and judges the answer. warm says that Larder has had
// what is asked for since before the chaos, so that nothing but a right answer
// will do.
func (l *ledger) do(ctx context.Context, r *rig.Rig, q request, warm bool) {
	patience := coldPatience
	if warm {
		patience = warmPatience
	}
	held := l.holds(q.subject)
	client, leave := context.WithTimeout(ctx, patience)
	defer leave()
	outcome, err := q.orAbbreviated(r).send(client, r, held)
	switch {
	case ctx.Err() != nil && !errors.Is(err, errWrong):
		outcome, err = "over", nil
	case errors.Is(err, errWrong):
	case err != nil:
		err = fmt.Errorf("%s %s: %w", q.what, q.path, err)
	case warm && outcome != "right" && outcome != "hung up":
		err = fmt.Errorf("%s %s, which Larder has: %s", q.what, q.path, outcome)
	}
	l.note(q, outcome, err)
}

// send returns what came of q in a word or two, and an error if that may not
// be.
func (q request) send(ctx context.Context, r *rig.Rig, held bool) (string, error) {
	resp, err := r.Open(ctx, q.method, r.Base+q.path, q.header...)
	switch {
	case ctx.Err() != nil:
		return "no patience", nil
	case err != nil:
		return "broken", fmt.Errorf("no answer: %w", err)
	}
	defer resp.Body.Close()
	if q.hangUp > 0 && resp.StatusCode == http.StatusOK {
		_, _ = io.CopyN(io.Discard, resp.Body, q.hangUp) // closing the rest of a body closes its connection
		return "hung up", nil
	}
	body, err := io.ReadAll(resp.Body)
	status := strconv.Itoa(resp.StatusCode)
	switch {
	case ctx.Err() != nil:
		return "no patience", nil
	case err != nil && q.what != "tarball" && !(q.what == "part" && resp.StatusCode == http.StatusOK): // all of it, as it comes
		return "broken", fmt.Errorf("%s, broken off: %w", status, err)
	case err != nil:
		return "broken", nil
	}
	switch resp.StatusCode {
	case http.StatusOK, http.StatusPartialContent:
		if err := q.accepted(resp, body); err != nil {
			return "wrong", err
		}
		return "right", nil
	case http.StatusNotFound:
		if !q.goods.vanishing {
			return status, fmt.Errorf("404, which upstream never said: %s", body)
		}
		if held {
			return status, fmt.Errorf("404, although it was answered before: %s", body)
		}
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
	default:
		return status, fmt.Errorf("%s: %s", resp.Status, body)
	}
	var said struct{ Error string }
	if err := json.Unmarshal(body, &said); q.method != http.MethodHead && (err != nil || said.Error == "") {
		return status, fmt.Errorf("%s without an error body: %s", resp.Status, body)
	}
	return status, nil
}
