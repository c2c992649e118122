package proxy

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"larder/npm"
)

// auditTree returns the handler of one of the two older audits, quick and
// full: npm 6 and pnpm 10 send the whole tree of dependencies, and only the
// catch-all upstream is asked, with what belongs to other upstreams cut out of
// the tree.
func (s *Server) auditTree(path string) handler {
	return func(x *exchange, r *http.Request) error { return s.answerAuditTree(x, r, path) }
}

func (s *Server) answerAuditTree(x *exchange, r *http.Request, path string) error {
	body, release, err := s.auditBody(x, r)
	if err != nil {
		return err
	}
	defer release()
	noAudit := &npm.Error{Kind: npm.NotFound, Op: "proxy.auditTree", Msg: "upstream offers no audit"}
	if s.catchAll == nil {
		return noAudit
	}
	if len(s.cfg.Upstreams) > 1 {
		if body, err = s.prune(body); err != nil {
			return err
		}
	}
	started := time.Now()
	answer, err := s.catchAll.Post(r.Context(), path, body)
	x.waitedSince(started)
	if err != nil {
		return unserviceable("audit", err)
	}
	report := gjson.ParseBytes(answer)
	if !report.Get("metadata.vulnerabilities").IsObject() || !report.Get("advisories").IsObject() {
		return noAudit // pnpm 10 crashes where one of them is missing
	}
	return x.sendJSON(r, noStore, answer)
}

// prune removes from a tree every package that the catch-all upstream does not
// answer for, below with it, so that it does not learn their names.
func (s *Server) prune(body []byte) ([]byte, error) {
	var tree map[string]any
	if err := json.Unmarshal(body, &tree); err != nil {
		return nil, &npm.Error{Kind: npm.Invalid, Op: "proxy.prune", Msg: "the body is not a JSON object", Err: err}
	}
	if name, _ := tree["name"].(string); s.foreign(name) {
		delete(tree, "name")
	}
	for _, key := range []string{"install", "remove"} { // lists of NAME@VERSION or ALIAS@npm:NAME@VERSION
		list, _ := tree[key].([]any)
		kept := make([]any, 0, len(list))
		for _, item := range list {
			if spec, ok := item.(string); ok && !s.foreign(nameOf(spec)) {
				kept = append(kept, item)
			}
		}
		if list != nil {
			tree[key] = kept
		}
	}
	s.pruneNode(tree)
	return encode(tree)
}

// pruneNode prunes one package of the tree and those below it. The depth is
// bounded by encoding/json, which refuses to decode more than 10,000 levels.
func (s *Server) pruneNode(node map[string]any) {
	requires, _ := node["requires"].(map[string]any) // pnpm and some lockfiles have "requires": true
	for name, spec := range requires {
		if s.foreign(name) || s.foreign(aliased(spec)) {
			delete(requires, name)
		}
	}
	dependencies, _ := node["dependencies"].(map[string]any)
	for name, child := range dependencies {
		child, _ := child.(map[string]any)
		if s.foreign(name) || s.foreign(aliased(child["version"])) {
			delete(dependencies, name)
		} else {
			s.pruneNode(child)
		}
	}
}

// aliased returns NAME of "npm:NAME@VERSION", which stands in place of a
// version where a package goes by another name; else "".
func aliased(spec any) string {
	text, _ := spec.(string)
	target, ok := strings.CutPrefix(text, "npm:")
	if !ok {
		return ""
	}
	return nameOf(target)
}

// foreign reports whether name is a package that the catch-all upstream does
// not answer for. What is no package name (pnpm's "." and paths of workspaces)
// is not foreign.
func (s *Server) foreign(name string) bool {
	return npm.CheckName(name) == nil && s.publicSource(name) != s.catchAll
}

// nameOf returns NAME of NAME@VERSION and of ALIAS@npm:NAME@VERSION.
func nameOf(spec string) string {
	if _, target, ok := strings.Cut(spec, "@npm:"); ok {
		spec = target
	}
	if i := strings.LastIndexByte(spec, '@'); i > 0 {
		return spec[:i]
	}
	return spec
}
