package hosted

import (
	"context"
	"slices"
)

// Names returns the names of all packages, wholly unpublished ones among them,
// sorted. A list that lacked what cannot be read would be taken for all there
// is, so one damaged document is an error here.
func (p *Packages) Names(ctx context.Context) ([]string, error) {
	entries, complete, err := p.index.all(ctx)
	if err == nil && !complete {
		err = damaged("a hosted package cannot be read: the log says which")
	}
	if err != nil {
		return nil, wrap("Names", "", err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.name
	}
	return names, nil
}

// StarredBy returns the names of the packages that user has starred, sorted.
func (p *Packages) StarredBy(ctx context.Context, user string) ([]string, error) {
	entries, _, err := p.index.all(ctx)
	if err != nil {
		return nil, wrap("StarredBy", "", err)
	}
	var names []string
	for _, e := range entries {
		if _, starred := slices.BinarySearch(e.stars, user); starred && e.live {
			names = append(names, e.name)
		}
	}
	return names, nil
}
