package proxy

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"larder/npm"
)

// maxSearchSize is how many results a search may ask for; npm's own registry
// and Verdaccio have the same bound.
const maxSearchSize = 250

// search answers GET /-/v1/search out of the catch-all upstream alone, because
// what people search for is not for every upstream to read.
func (s *Server) search(x *exchange, r *http.Request) error {
	query := searchQuery(r.URL.Query())
	if query.Get("text") == "" {
		return x.sendJSON(r, revalidate, []byte(`{"objects":[],"total":0}`))
	}
	if s.catchAll == nil {
		return &npm.Error{Kind: npm.NotFound, Op: "proxy.search", Msg: "no upstream is configured to search in"}
	}
	started := time.Now()
	raw, outcome, err := s.catchAll.Small(r.Context(), "/-/v1/search?"+query.Encode())
	x.waitedSince(started)
	if err != nil {
		return unserviceable("search", err)
	}
	size, err := strconv.Atoi(query.Get("size"))
	if err != nil {
		size = maxSearchSize
	}
	body, err := repairSearch(raw, size)
	if err != nil {
		return unserviceable("search", err)
	}
	x.answeredBy(outcome.String())
	return x.sendJSON(r, revalidate, body)
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

// object is a JSON object of which most stays as it is.
type object = map[string]json.RawMessage

// repairSearch returns a search result with at most size objects, each of a
// package with a list of maintainers: npm crashes where they are missing.
func repairSearch(raw []byte, size int) ([]byte, error) {
	var result object
	var objects []object
	if err := json.Unmarshal(raw, &result); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(result["objects"], &objects); err != nil {
		return nil, err
	}
	objects = objects[:min(len(objects), size)]
	kept := make([]object, 0, len(objects))
	for _, o := range objects {
		var pkg object
		if json.Unmarshal(o["package"], &pkg) != nil || pkg == nil {
			continue
		}
		var err error
		if pkg["maintainers"], err = maintainers(pkg["maintainers"]); err != nil {
			return nil, err
		}
		if o["package"], err = encode(pkg); err != nil {
			return nil, err
		}
		kept = append(kept, o)
	}
	var err error
	if result["objects"], err = encode(kept); err != nil {
		return nil, err
	}
	return encode(result)
}

// maintainers returns the people of a list of maintainers, none where it is
// not a list. npm reads the username of each, and stops at one that is no
// string; other registries call it name.
func maintainers(raw json.RawMessage) (json.RawMessage, error) {
	var all []json.RawMessage
	people := []object{}
	_ = json.Unmarshal(raw, &all) // what is no list has nobody in it
	for _, m := range all {
		var person object
		if json.Unmarshal(m, &person) != nil {
			continue
		}
		if !isJSONString(person["username"]) && isJSONString(person["name"]) {
			person["username"] = person["name"]
		}
		if isJSONString(person["username"]) {
			people = append(people, person)
		}
	}
	return encode(people)
}

func isJSONString(raw json.RawMessage) bool { return bytes.HasPrefix(raw, []byte(`"`)) }

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
