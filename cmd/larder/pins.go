package main

import (
	"slices"

	"larder/cache"
	"larder/npm"
)

// pinnedBlobs returns the keys of the tarballs that cache.pins names, under the names
// that tarballs have by convention.
func pinnedBlobs(s *settings) []string {
	var keys []string
	for _, pin := range s.Cache.Pins {
		name, version, err := npm.ParsePin(pin)
		if err != nil {
			continue // load has checked it
		}
		i := slices.IndexFunc(s.Upstreams, func(u UpstreamConfig) bool { return matchesAny(u.Match, name) })
		if i >= 0 {
			keys = append(keys, cache.FileKey(cache.OwnerKey(s.Upstreams[i].Name, name), "blob", npm.TarballFile(name, version)))
		}
	}
	return keys
}
