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
// read comes first, then what the catch-all upstream finds, if it may be asked,
// of which nothing bears a name that is private here. What people search for is not for every
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
	if rest := size - len(page.objects); rest > 0 && text != "" && s.catchAll != nil && !s.catchAll.Held(r.Context()) && !s.namesPrivate(r.Context(), x.caller, text) {
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
	raw, from, err := s.catchAll.Small(r.Context(), "/-/v1/search?"+query.Encode())
	x.waitedSince(started)
	if err != nil {
		return err
	}
	size, err := strconv.Atoi(query.Get("size"))
	if err != nil {
		return err
	}
	objects, total, err := repairSearch(raw, size, func(name string) bool { return s.searchable(r.Context(), x.caller, name) })
	if err != nil {
		return err
	}
	page.objects = append(page.objects, objects...)
	page.total += total
	s.from(x, s.catchAll, from)
	return nil
}

// readable returns what tells the packages that x's caller may read.
func (s *Server) readable(x *exchange) func(name string) bool {
	return func(name string) bool { return s.cfg.Auth.May(x.caller, auth.Read, name) }
}

// maxPieces bounds the pieces of a search's text that are looked at: each costs
// a look at the store. A text of more stays here.
const maxPieces = 64

// namesPrivate reports whether a word of a search is a name or a scope that is
// not for the catch-all upstream to hear of, in any of the ways in which
// people write one: with a version, in capitals, in brackets, in a URL.
func (s *Server) namesPrivate(ctx context.Context, caller auth.Caller, text string) bool {
	private := func(word string) bool { return s.isPrivate(ctx, caller, word) }
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`,"'`, r) })
	looked := 0
	for _, word := range words {
		if key, value, ok := strings.Cut(word, ":"); ok && isQualifier(key) {
			word = value
		}
		pieces := strings.FieldsFunc(word, notInName)
		if looked += len(pieces); looked > maxPieces {
			return true
		}
		if name := nameOf(word); npm.Scope(name) != "" && npm.CheckName(name) == nil {
			if private(name) {
				return true
			}
			continue // "core" of "@babel/core" is not meant
		}
		for i, piece := range pieces {
			if private(piece) || private("@"+piece) || i > 0 && private("@"+pieces[i-1]+"/"+piece) {
				return true
			}
		}
	}
	return false
}

// isQualifier reports whether key is what npm search understands before a ':'.
func isQualifier(key string) bool {
	switch key {
	case "author", "maintainer", "scope", "keyword", "keywords", "is", "not", "boost-exact":
		return true
	}
	return false
}

// notInName reports whether r is where a piece of a name ends.
func notInName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("-._~", r)
}

// isPrivate reports whether word is a name that the catch-all upstream does not
// answer for, or the scope of one, or begins like one. What the caller may not
// read counts, whether or not it exists: else the answers would tell.
func (s *Server) isPrivate(ctx context.Context, caller auth.Caller, word string) bool {
	if npm.CheckName(word) == nil && !s.searchable(ctx, caller, word) {
		return true
	}
	scope, _, _ := strings.Cut(word, "/")
	sample := scope + "/x"
	if scope[0] != '@' || npm.CheckName(sample) != nil {
		return false
	}
	if s.reserved(sample) || s.upstreamOf(sample) != s.catchAll || !s.cfg.Auth.May(caller, auth.Read, sample) ||
		slices.ContainsFunc(s.cfg.Reserved, func(p string) bool { return strings.HasPrefix(strings.ToLower(p), scope+"/") }) {
		return true
	}
	own, err := s.cfg.Hosted.Search(ctx, hosted.Query{Text: "scope:" + scope[1:], Size: 1})
	return err != nil || own.Total > 0
}

// searchable reports whether a package is one that the catch-all upstream
// answers for and the caller may read.
func (s *Server) searchable(ctx context.Context, caller auth.Caller, name string) bool {
	return s.publicSource(ctx, name) == s.catchAll && s.cfg.Auth.May(caller, auth.Read, name)
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
