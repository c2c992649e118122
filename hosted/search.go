package hosted

import (
	"cmp"
	"context"
	"slices"
	"strconv"
)

// Query asks for packages.
type Query struct {
	Text       string // words and qualifiers, as npm search sends them; "" for all
	From, Size int    // Size: 0 stands for 20, more than 250 for 250
	// Visible reports whether the reader may see a package; nil: all. It is
	// called for each match.
	Visible func(name string) bool
}

// Bounds of a search, in packages.
const (
	defaultSize = 20
	maxSize     = 250
)

// Found answers a Query.
type Found struct {
	Objects [][]byte // each one element of "objects", JSON, the best first
	Total   int      // of all that match and are visible
}

// hit is a package that matches.
type hit struct {
	*entry
	score float64
}

// Search finds packages: those that are called so first, then those whose names
// begin so, or have it in the name, a keyword, the description; among equals by
// name. Its index is made on first use and follows each write before the write
// returns. Invalid: the text is too long.
func (p *Packages) Search(ctx context.Context, q Query) (Found, error) {
	found, err := p.search(ctx, q)
	return found, wrap("Search", "", err)
}

func (p *Packages) search(ctx context.Context, q Query) (Found, error) {
	terms, err := parseText(q.Text)
	if err != nil {
		return Found{}, err
	}
	entries, _, err := p.index.all(ctx)
	if err != nil {
		return Found{}, err
	}
	var hits []hit
	for _, e := range entries {
		if score, ok := terms.score(e); ok && (q.Visible == nil || q.Visible(e.name)) {
			hits = append(hits, hit{e, score})
		}
	}
	// The entries are sorted by name.
	slices.SortStableFunc(hits, func(a, b hit) int { return cmp.Compare(b.score, a.score) })

	found := Found{Total: len(hits), Objects: [][]byte{}}
	size := cmp.Or(max(q.Size, 0), defaultSize)
	from := min(max(q.From, 0), len(hits))
	for _, h := range hits[from:min(from+min(size, maxSize), len(hits))] {
		found.Objects = append(found.Objects, h.object())
	}
	return found, nil
}

// object writes an element of "objects". Quality, popularity and maintenance
// are not measured here, but clients expect numbers.
func (h hit) object() []byte {
	score := strconv.FormatFloat(h.score/wholeName, 'f', 4, 64)
	out := append([]byte(`{"package":`), h.found...)
	out = append(out, `,"score":{"final":`+score+`,"detail":{"quality":1,"popularity":1,"maintenance":1}},"searchScore":`+score+`}`...)
	return out
}
