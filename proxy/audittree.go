package proxy

import (
	"context"
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
	body, left, err := s.prune(r.Context(), body)
	if err != nil {
		return err
	}
	if !left {
		return x.sendJSON(r, noStore, []byte(nothingFound))
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

// nothingFound is the report on a tree without a package that anybody else
// could know of. pnpm 10 reads all of it.
const nothingFound = `{"actions":[],"advisories":{},"muted":[],"metadata":{` +
	`"vulnerabilities":{"info":0,"low":0,"moderate":0,"high":0,"critical":0},` +
	`"dependencies":0,"devDependencies":0,"optionalDependencies":0,"totalDependencies":0}}`

// prune removes from a tree every package that the catch-all upstream does not
// answer for, below with it, so that it does not learn their names. It tells
// whether a dependency is left to ask about.
func (s *Server) prune(ctx context.Context, body []byte) (pruned []byte, left bool, err error) {
	p := &pruner{known: make(map[string]bool), foreign: func(name string) bool {
		return npm.CheckName(name) == nil && s.publicSource(ctx, name) != s.catchAll
	}}
	var tree map[string]any
	if err := json.Unmarshal(body, &tree); err != nil {
		return nil, false, &npm.Error{Kind: npm.Invalid, Op: "proxy.prune", Msg: "the body is not a JSON object", Err: err}
	}
	if name, _ := tree["name"].(string); p.cuts(name) {
		delete(tree, "name")
	}
	for _, key := range []string{"install", "remove"} { // lists of NAME@VERSION or ALIAS@npm:NAME@VERSION
		list, _ := tree[key].([]any)
		kept := make([]any, 0, len(list))
		for _, item := range list {
			if spec, ok := item.(string); ok && !p.cuts(nameOf(spec)) {
				kept = append(kept, item)
			}
		}
		if list != nil {
			tree[key] = kept
		}
	}
	p.prune(tree)
	pruned, err = encode(tree)
	return pruned, p.left, err
}

// pruner prunes a tree in which the same names stand again and again.
type pruner struct {
	// foreign reports whether name is a package that the catch-all upstream
	// does not answer for. What is no package name (pnpm's "." and paths of
	// workspaces) is not foreign.
	foreign func(name string) bool
	known   map[string]bool // what foreign has said
	left    bool            // a dependency was not cut, and its name is one
}

// cuts reports whether name must be cut out.
func (p *pruner) cuts(name string) bool {
	cut, ok := p.known[name]
	if !ok {
		cut = p.foreign(name)
		p.known[name] = cut
	}
	return cut
}

// prune prunes one package of the tree and those below it. The depth is
// bounded by encoding/json, which refuses to decode more than 10,000 levels.
func (p *pruner) prune(node map[string]any) {
	requires, _ := node["requires"].(map[string]any) // pnpm and some lockfiles have "requires": true
	for name, spec := range requires {
		if p.cuts(name) || p.cuts(aliased(spec)) {
			delete(requires, name)
		} else if npm.CheckName(name) == nil { // pnpm's "." is the project itself
			p.left = true
		}
	}
	dependencies, _ := node["dependencies"].(map[string]any)
	for name, child := range dependencies {
		child, _ := child.(map[string]any)
		if p.cuts(name) || p.cuts(aliased(child["version"])) {
			delete(dependencies, name)
		} else {
			p.left = p.left || npm.CheckName(name) == nil
			p.prune(child)
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
