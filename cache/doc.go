// Package cache keeps bytes on disk: a key-value Store with preconditions
// (Dir on disk, Mem in memory), Blobs that are filled on their first request
// while many read along, upstream Responses for httpcache, and finished
// Documents that are served as they lie.
//
// It knows neither npm nor users. Nothing outside it may assume a local path.
package cache
