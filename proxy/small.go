package proxy

import (
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/tidwall/gjson"

	"larder/npm"
	"larder/upstream"
)

// ping answers GET /-/ping. npm prints whatever is in the object.
func (s *Server) ping(x *exchange, r *http.Request) error {
	return x.sendJSON(r, noStore, []byte("{}"))
}

// whoami answers GET /-/whoami: nobody has an account here.
func (s *Server) whoami(*exchange, *http.Request) error {
	return &npm.Error{Kind: npm.Unauthorized, Op: "proxy.whoami", Msg: "you are not logged in"}
}

// metrics answers GET /-/metrics.
func (s *Server) metrics(x *exchange, r *http.Request) error {
	x.common(noStore)
	s.cfg.Metrics.Handler().ServeHTTP(x, r)
	return nil
}

// root answers GET /, which load balancers ask for, in the shape that CouchDB
// gave it.
func (s *Server) root(x *exchange, r *http.Request, _ npm.Route) error {
	body, err := encode(struct {
		DB      string `json:"db_name"`
		Name    string `json:"name"`
		Version string `json:"version"`
	}{"registry", "larder", s.cfg.Version})
	if err != nil {
		return err
	}
	return x.sendJSON(r, revalidate, body)
}

// keys answers GET /-/npm/v1/keys with the signing keys of all upstreams:
// npm audit signatures gives up where the key of a single package is missing,
// so an upstream that cannot be asked is an error, while one that has none is
// not.
func (s *Server) keys(x *exchange, r *http.Request) error {
	keys := []json.RawMessage{}
	seen := make(map[string]bool)
	outcome, started := upstream.Hit, time.Now()
	for _, reg := range s.cfg.Upstreams {
		raw, o, err := reg.Small(r.Context(), keysPath)
		x.waitedSince(started)
		var answer struct{ Keys []json.RawMessage }
		if err == nil {
			err = json.Unmarshal(raw, &answer)
		}
		switch {
		case err != nil && npm.KindOf(err) == npm.NotFound:
			continue
		case err != nil:
			return unserviceable("keys", err)
		}
		for _, key := range answer.Keys {
			if id := gjson.GetBytes(key, "keyid").String(); id != "" && !seen[id] {
				seen[id] = true
				keys = append(keys, key)
			}
		}
		outcome = max(outcome, o)
	}
	if len(keys) == 0 {
		return &npm.Error{Kind: npm.NotFound, Op: "proxy.keys", Msg: "no upstream offers keys"}
	}
	body, err := encode(map[string]any{"keys": keys})
	if err != nil {
		return err
	}
	x.answeredBy(outcome.String())
	return x.sendJSON(r, cacheDocument, body)
}

// attestations answers GET /-/npm/v1/attestations/NAME@VERSION as the
// package's own upstream does.
func (s *Server) attestations(x *exchange, r *http.Request, route npm.Route) error {
	reg, err := s.source(route.Name)
	if err != nil {
		return err
	}
	started := time.Now()
	body, outcome, err := reg.Small(r.Context(),
		"/-/npm/v1/attestations/"+npm.EscapeName(route.Name)+"@"+url.PathEscape(route.Version))
	x.waitedSince(started)
	if err != nil {
		return err
	}
	x.answeredBy(outcome.String())
	return x.sendJSON(r, cacheDocument, body)
}
