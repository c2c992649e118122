package proxy

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/tidwall/gjson"

	"larder/hosted"
	"larder/npm"
	"larder/upstream"
)

// keys answers GET /-/npm/v1/keys with our own signing key, once there is
// something that it has signed, and those of all upstreams: npm audit signatures
// gives up where the key of a single package is missing, so an upstream that
// cannot be asked is an error, while one that has none is not. Where there is no
// key at all npm skips the check; with one it would call all unsigned packages
// suspicious, so a mirror that signs nothing must not offer its own.
func (s *Server) keys(x *exchange, r *http.Request) error {
	all, seen := []json.RawMessage{}, make(map[string]bool)
	own, err := s.ownKey(r.Context())
	if err != nil {
		return err
	}
	if own != nil {
		all = append(all, own)
	}
	var oldest *upstream.Registry
	var from upstream.Provenance
	started := time.Now()
	for _, reg := range s.cfg.Upstreams {
		keys, p, err := keysOf(r.Context(), reg)
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
		if !p.Checked.IsZero() && (oldest == nil || p.Checked.Before(from.Checked)) {
			oldest, from = reg, p
		}
	}
	if len(all) == 0 {
		return &npm.Error{Kind: npm.NotFound, Op: "proxy.keys", Msg: "nothing is published here, and no upstream offers keys"}
	}
	body, err := encode(map[string]any{"keys": all})
	if err != nil {
		return err
	}
	s.from(x, oldest, from)
	return x.sendJSON(r, revalidate, body) // the first publish adds ours
}

// ownKey returns our signing key, nil where nothing is published here.
func (s *Server) ownKey(ctx context.Context) (json.RawMessage, error) {
	published, err := s.cfg.Hosted.Search(ctx, hosted.Query{Size: 1})
	if err != nil || published.Total == 0 {
		return nil, err
	}
	return encode(s.cfg.Auth.PublicKey())
}

// keysOf returns an upstream's keys, none where it has not got the endpoint.
func keysOf(ctx context.Context, reg *upstream.Registry) ([]json.RawMessage, upstream.Provenance, error) {
	raw, from, err := reg.Small(ctx, keysPath)
	if npm.KindOf(err) == npm.NotFound {
		return nil, upstream.Provenance{}, nil
	}
	if err != nil {
		return nil, upstream.Provenance{}, err
	}
	var answer struct{ Keys []json.RawMessage }
	return answer.Keys, from, json.Unmarshal(raw, &answer)
}
