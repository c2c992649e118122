package registry

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// maxSearch is the public registry's bound on size.
const maxSearch = 250

// search answers /-/v1/search: packages whose latest version has every word of
// the text in its name, description or keywords, by name.
func (s *Server) search(a *answer, r *http.Request) {
	q := r.URL.Query()
	if q.Get("text") == "" {
		a.json(http.StatusBadRequest, `{"error":"'text' query parameter is required"}`)
		return
	}
	size, from := number(q.Get("size"), 20), number(q.Get("from"), 0)
	words := strings.Fields(strings.ToLower(q.Get("text")))

	s.mu.Lock()
	var objects []string
	for _, name := range slices.Sorted(maps.Keys(s.packages)) {
		if latest := s.packages[name].find("latest"); latest != nil && hasAll(searchable(latest), words) {
			objects = append(objects, searchObject(latest))
		}
	}
	s.mu.Unlock()

	total := len(objects)
	objects = objects[min(from, total):]
	objects = objects[:min(size, maxSearch, len(objects))]
	a.json(http.StatusOK, fmt.Sprintf(`{"objects":[%s],"total":%d,"time":%q}`, strings.Join(objects, ","), total, stamp(Published)))
}

func searchable(r *release) string {
	description, _ := lookup(r.manifest, "description")
	keywords, _ := lookup(r.manifest, "keywords")
	return strings.ToLower(r.Name + " " + description + " " + keywords)
}

func hasAll(text string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

func searchObject(r *release) string {
	fields := []field{{"name", quote(r.Name)}, {"version", quote(r.Version)}}
	for _, key := range []string{"description", "keywords"} {
		if raw, ok := lookup(r.manifest, key); ok {
			fields = append(fields, field{key, raw})
		}
	}
	person := `{"username":"octo","email":"octo@example.com"}`
	fields = append(fields,
		field{"date", quote(stamp(r.Time))},
		field{"links", `{"npm":"https://registry.example/package/` + r.Name + `"}`},
		field{"publisher", person},
		field{"maintainers", "[" + person + "]"})
	return `{"package":` + object(fields) + `,"score":{"final":0.5,"detail":{"quality":0.5,"popularity":0.5,"maintenance":0.5}},"searchScore":1}`
}

// number is a query's value, or fallback where it is none.
func number(s string, fallback int) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return fallback
	}
	return n
}
