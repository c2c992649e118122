package proxy

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/tidwall/gjson"

	"larder/npm"
	"larder/upstream"
)

// keys answers GET /-/npm/v1/keys with our own signing key and those of all
// upstreams: npm audit signatures gives up where the key of a single package is
// missing, so an upstream that cannot be asked is an error, while one that has
// none is not.
func (s *Server) keys(x *exchange, r *http.Request) error {
	own, err := encode(s.cfg.Auth.PublicKey())
	if err != nil {
		return err
	}
	all, seen := []json.RawMessage{own}, map[string]bool{s.cfg.Auth.PublicKey().KeyID: true}
	outcome, started := upstream.Hit, time.Now()
	for _, reg := range s.cfg.Upstreams {
		keys, o, err := keysOf(r.Context(), reg)
		x.waitedSince(started)
		if err != nil {
			return unserviceable("keys", err)
		}
		for _, key := range keys {
			if id := gjson.GetBytes(key, "keyid").String(); id != "" && !seen[id] {
				seen[id] = true
				all = append(all, key)
			}
		}
		outcome = max(outcome, o)
	}
	body, err := encode(map[string]any{"keys": all})
	if err != nil {
		return err
	}
	x.answeredBy(outcome.String())
	return x.sendJSON(r, cacheDocument, body)
}

// keysOf returns an upstream's keys, none where it has not got the endpoint.
func keysOf(ctx context.Context, reg *upstream.Registry) ([]json.RawMessage, upstream.Outcome, error) {
	raw, outcome, err := reg.Small(ctx, keysPath)
	if npm.KindOf(err) == npm.NotFound {
		return nil, upstream.Hit, nil
	}
	if err != nil {
		return nil, 0, err
	}
	var answer struct{ Keys []json.RawMessage }
	return answer.Keys, outcome, json.Unmarshal(raw, &answer)
}
