package registry

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"github.com/tidwall/gjson"
)

// Advisory is a known vulnerability of a package.
type Advisory struct {
	ID         int
	Name       string // of the package
	Vulnerable string // range of versions, such as "<2.0.0"
	Severity   string // info, low, moderate, high or critical
	Title      string
}

// AddAdvisory makes audits report a.
func (s *Server) AddAdvisory(a Advisory) error {
	if _, err := semver.NewConstraint(a.Vulnerable); err != nil {
		return fmt.Errorf("registry: advisory %d: %w", a.ID, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advisories = append(s.advisories, a)
	return nil
}

// maxAuditBody bounds the unpacked body of an audit, in bytes.
const maxAuditBody = 10 << 20

// audit answers the bulk, quick and full audit.
func (s *Server) audit(a *answer, r *http.Request, path string) {
	if r.Method != http.MethodPost {
		a.Header().Set("Allow", "POST")
		a.json(http.StatusMethodNotAllowed, `{"code":"MethodNotAllowedError","message":"use POST"}`)
		return
	}
	body, err := readAudit(r)
	if err != nil {
		a.json(http.StatusBadRequest, `{"error":`+quote(err.Error())+`}`)
		return
	}
	s.mu.Lock()
	advisories := slices.Clone(s.advisories)
	s.mu.Unlock()

	switch path {
	case "/-/npm/v1/security/advisories/bulk":
		var asked map[string][]string
		if err := json.Unmarshal(body, &asked); err != nil {
			a.json(http.StatusBadRequest, `{"error":"Invalid package tree, run npm install to rebuild your package-lock.json"}`)
			return
		}
		a.json(http.StatusOK, bulk(advisories, asked))
	case "/-/npm/v1/security/audits/quick", "/-/npm/v1/security/audits":
		asked := map[string][]string{}
		collect(asked, gjson.GetBytes(body, "dependencies"))
		a.json(http.StatusOK, report(advisories, asked))
	default:
		a.json(http.StatusNotFound, notFound)
	}
}

func readAudit(r *http.Request) ([]byte, error) {
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		zr, err := gzip.NewReader(body)
		if err != nil {
			return nil, err
		}
		body = zr
	}
	b, err := io.ReadAll(io.LimitReader(body, maxAuditBody))
	if err == nil && !json.Valid(b) {
		err = fmt.Errorf("the body is not JSON")
	}
	return b, err
}

// collect gathers the versions of an audit's dependency tree. pnpm nests the
// project itself under ".".
func collect(into map[string][]string, dependencies gjson.Result) {
	dependencies.ForEach(func(name, node gjson.Result) bool {
		if v := node.Get("version").String(); v != "" {
			into[name.String()] = append(into[name.String()], v)
		}
		collect(into, node.Get("dependencies"))
		return true
	})
}

// affected are the versions that an advisory speaks of.
func (a Advisory) affected(versions []string) []string {
	vulnerable, err := semver.NewConstraint(a.Vulnerable)
	if err != nil {
		return nil // AddAdvisory let none in
	}
	var hit []string
	for _, v := range versions {
		if parsed, err := semver.NewVersion(v); err == nil && vulnerable.Check(parsed) {
			hit = append(hit, v)
		}
	}
	return hit
}

func (a Advisory) url() string {
	return fmt.Sprintf("https://github.com/advisories/GHSA-0000-0000-%04d", a.ID)
}

func bulk(advisories []Advisory, asked map[string][]string) string {
	byName := map[string][]string{}
	for _, a := range advisories {
		if len(a.affected(asked[a.Name])) == 0 {
			continue
		}
		byName[a.Name] = append(byName[a.Name], object([]field{
			{"id", fmt.Sprint(a.ID)}, {"url", quote(a.url())}, {"title", quote(a.Title)}, {"severity", quote(a.Severity)},
			{"vulnerable_versions", quote(a.Vulnerable)}, {"cwe", `["CWE-1321"]`},
			{"cvss", `{"score":7.2,"vectorString":"CVSS:3.1/AV:N/AC:L/PR:H/UI:N/S:U/C:H/I:H/A:H"}`},
		}))
	}
	var fields []field
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		fields = append(fields, field{name, "[" + strings.Join(byName[name], ",") + "]"})
	}
	return object(fields)
}

// report is the answer to the two older audits.
func report(advisories []Advisory, asked map[string][]string) string {
	severities := map[string]int{"info": 0, "low": 0, "moderate": 0, "high": 0, "critical": 0}
	var found []field
	for _, a := range advisories {
		hit := a.affected(asked[a.Name])
		if len(hit) == 0 {
			continue
		}
		severities[a.Severity]++
		findings := make([]string, len(hit))
		for i, v := range hit {
			findings[i] = fmt.Sprintf(`{"version":%s,"paths":[%s]}`, quote(v), quote(a.Name))
		}
		found = append(found, field{fmt.Sprint(a.ID), object([]field{
			{"id", fmt.Sprint(a.ID)}, {"title", quote(a.Title)}, {"module_name", quote(a.Name)},
			{"vulnerable_versions", quote(a.Vulnerable)}, {"patched_versions", `"<0.0.0"`}, {"severity", quote(a.Severity)},
			{"url", quote(a.url())}, {"findings", "[" + strings.Join(findings, ",") + "]"}, {"cves", "[]"}, {"cwe", `"CWE-1321"`},
			{"access", `"public"`}, {"overview", quote(a.Title)}, {"recommendation", `"None"`}, {"references", `""`},
			{"created", quote(stamp(Published))}, {"updated", quote(stamp(Published))},
		})})
	}
	counts, err := json.Marshal(severities)
	if err != nil {
		panic(err) // a map of numbers always encodes
	}
	n := len(asked)
	return fmt.Sprintf(`{"actions":[],"advisories":%s,"muted":[],"metadata":{"vulnerabilities":%s,"dependencies":%d,`+
		`"devDependencies":0,"optionalDependencies":0,"totalDependencies":%d},"runId":"00000000-0000-0000-0000-000000000000"}`,
		object(found), counts, n, n)
}
