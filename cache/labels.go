package cache

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Labels returns the labels of the blobs that an owner has under a kind:
// "blob" is what may be served. It reads their descriptions, not the bytes.
func (b *Blobs) Labels(ctx context.Context, owner, kind string) ([]string, error) {
	var described []string
	bytes := make(map[string]bool)
	err := b.store.Walk(ctx, owner+"/", func(i Info) error {
		if !strings.HasPrefix(i.Key, owner+"/"+kind+"-") {
			return nil
		}
		if key, ok := strings.CutSuffix(i.Key, sidecarSuffix); ok {
			described = append(described, key)
		} else {
			bytes[i.Key] = true
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cache.Labels %s: %w", owner, err)
	}
	var labels []string
	for _, key := range described {
		if !bytes[key] {
			continue
		}
		if meta, err := b.sidecars.read(ctx, key); err == nil { // one that went meanwhile, or cannot be read, is none
			labels = append(labels, meta.Label)
		}
	}
	slices.Sort(labels)
	return labels, nil
}
