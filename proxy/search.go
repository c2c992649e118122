package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"larder/auth"
	"larder/hosted"
	"larder/npm"
)

// maxSearchSize is how many results a search may ask for; npm's own registry
// and Verdaccio have the same bound.
const maxSearchSize = 250

// search answers GET /-/v1/search: what is published here and the caller may
// read comes first, then what the catch-all upstream finds, of which nothing
// bears a name that is private here. What people search for is not for every
// upstream to read, and words that name something private are for none.
func (s *Server) search(x *exchange, r *http.Request) error {
	query := searchQuery(r.URL.Query())
	from, size := searchRange(query)
	text := query.Get("text")
	own, err := s.cfg.Hosted.Search(r.Context(), hosted.Query{Text: text, From: from, Size: size, Visible: s.readable(x)})
	if err != nil {
		return err
	}
	x.guarded = !x.caller.Anonymous()                                                        // somebody else may find less
	page := searchPage{objects: own.Objects[:min(len(own.Objects), size)], total: own.Total} // size may be 0
	x.result = resultHosted
	if rest := size - len(page.objects); rest > 0 && text != "" && s.catchAll != nil && !s.namesPrivate(r.Context(), text) {
		query.Set("from", strconv.Itoa(max(0, from-own.Total)))
		query.Set("size", strconv.Itoa(rest))
		err = s.searchUpstream(x, r, query, &page)
	}
	if err != nil && own.Total == 0 && npm.KindOf(err) != npm.NotFound { // an upstream that cannot search finds nothing
		return unserviceable("search", err)
	}
	body, err := page.encode()
	if err != nil {
		return err
	}
	return x.sendJSON(r, revalidate, body)
}

// searchUpstream adds to page what the catch-all upstream finds.
func (s *Server) searchUpstream(x *exchange, r *http.Request, query url.Values, page *searchPage) error {
	started := time.Now()
	raw, outcome, err := s.catchAll.Small(r.Context(), "/-/v1/search?"+query.Encode())
	x.waitedSince(started)
	if err != nil {
		return err
	}
	size, err := strconv.Atoi(query.Get("size"))
	if err != nil {
		return err
	}
	objects, total, err := repairSearch(raw, size, func(name string) bool { return s.publicSource(r.Context(), name) != nil })
	if err != nil {
		return err
	}
	page.objects = append(page.objects, objects...)
	page.total += total
	x.answeredBy(outcome.String())
	return nil
}

// readable returns what tells the packages that x's caller may read.
func (s *Server) readable(x *exchange) func(name string) bool {
	return func(name string) bool { return s.cfg.Auth.May(x.caller, auth.Read, name) }
}

// namesPrivate reports whether a word of a search is a name or a scope that is
// private here, in any of the ways in which people write one.
func (s *Server) namesPrivate(ctx context.Context, text string) bool {
	words := strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`,"'`, r) })
	return slices.ContainsFunc(words, func(word string) bool {
		if _, value, ok := strings.Cut(word, ":"); ok { // scope:acme, author:alice
			word = value
		}
		word = nameOf(word)
		return s.isPrivate(ctx, word) || s.isPrivate(ctx, "@"+strings.TrimPrefix(word, "@"))
	})
}

// isPrivate reports whether word is a name that is private here, or the scope
// of one, or begins like one.
func (s *Server) isPrivate(ctx context.Context, word string) bool {
	if npm.CheckName(word) == nil && s.upstreamOf(word) != nil && s.publicSource(ctx, word) == nil {
		return true
	}
	scope, _, _ := strings.Cut(word, "/")
	if len(scope) < 2 || scope[0] != '@' {
		return false
	}
	if slices.ContainsFunc(s.cfg.Reserved, func(p string) bool { return strings.HasPrefix(p, scope+"/") || npm.MatchName(p, scope+"/x") }) {
		return true
	}
	own, err := s.cfg.Hosted.Search(ctx, hosted.Query{Text: "scope:" + scope[1:], Size: 1})
	return err != nil || own.Total > 0
}

// searchRange returns which part of a search's results is asked for.
func searchRange(query url.Values) (from, size int) {
	const defaultSize = 20 // the public registry's
	size = defaultSize
	if n, err := strconv.Atoi(query.Get("size")); err == nil {
		size = n // bounded by searchQuery
	}
	if n, err := strconv.Atoi(query.Get("from")); err == nil && n > 0 {
		from = n
	}
	return from, size
}

// searchPage is one page of results, each an element of "objects".
type searchPage struct {
	objects [][]byte
	total   int
}

func (p searchPage) encode() ([]byte, error) {
	objects := make([]json.RawMessage, len(p.objects))
	for i, o := range p.objects {
		objects[i] = o
	}
	return encode(struct {
		Objects []json.RawMessage `json:"objects"`
		Total   int               `json:"total"`
		Time    string            `json:"time"`
	}{objects, p.total, time.Now().UTC().Format(time.RFC1123)})
}

// searchQuery keeps the parameters that the endpoint has, so that made-up ones
// do not multiply what is cached, and bounds the size.
func searchQuery(q url.Values) url.Values {
	kept := url.Values{}
	for _, key := range []string{"text", "from", "quality", "popularity", "maintenance"} {
		if v := q.Get(key); v != "" {
			kept.Set(key, v)
		}
	}
	if size, err := strconv.Atoi(q.Get("size")); err == nil && size >= 0 {
		kept.Set("size", strconv.Itoa(min(size, maxSearchSize)))
	}
	return kept
}

// encode marshals v and leaves "<" and ">" as they are.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// unserviceable turns whatever failed in a service that installs can do
// without into 503, but for an upstream that does not have it.
func unserviceable(service string, err error) error {
	if npm.KindOf(err) == npm.NotFound {
		return &npm.Error{Kind: npm.NotFound, Op: "proxy." + service, Msg: "upstream offers no " + service, Err: err}
	}
	return &npm.Error{Kind: npm.Unavailable, Op: "proxy." + service, Msg: service + " is not available at the moment", Err: err}
}
