// Package upstream reads one remote npm registry through the cache: its
// packuments by httpcache over an edge transport that keeps wrong answers out,
// its tarballs as sources for cache.Blobs, and the few small services (search,
// audit, keys, attestations) that are passed through.
//
// It knows neither hosted packages nor users nor the HTTP surface that
// clients see.
package upstream
