package main

import (
	"net/http"
	"slices"
)

// The Accept headers by which npm asks for the forms of a document.
const (
	acceptFull        = "application/json"
	acceptAbbreviated = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*"
)

// hit is a request that a warm cache answers.
type hit struct {
	name   string
	shape  Shape
	accept string // empty: the tarball
	gzip   bool
	how    how
	// connections at once. All servers are measured at the first, which is the
	// targets'; the others are for Larder and nginx, as are huge documents.
	connections []int
}

// how a hit is asked for.
type how int

const (
	whole       how = iota
	revalidated     // If-None-Match with the server's own ETag: 304
	head
	part // Range: a tenth of it
)

// hits is the table of cases.
var hits = []hit{
	{"is-number abbreviated, gzip", isNumber, acceptAbbreviated, true, whole, []int{32, 1, 256}},
	{"is-number abbreviated, HEAD", isNumber, acceptAbbreviated, true, head, []int{32}},
	{"is-number abbreviated, 304", isNumber, acceptAbbreviated, true, revalidated, []int{32}},
	{"express full, gzip", express, acceptFull, true, whole, []int{32, 1, 256}},
	{"typescript full, gzip", typescript, acceptFull, true, whole, []int{16}},
	{"typescript full, 304", typescript, acceptFull, true, revalidated, []int{16}},
	{"typescript abbreviated, identity", typescript, acceptAbbreviated, false, whole, []int{16}},
	{"next full, gzip", next, acceptFull, true, whole, []int{16}},
	{"drizzle-orm full, gzip", drizzle, acceptFull, true, whole, []int{16}},
	{"tarball 4 KB", tarball4K, "", false, whole, []int{32, 1, 256}},
	{"tarball 50 KB", tarball50K, "", false, whole, []int{32}},
	{"tarball 300 KB", tarball300K, "", false, whole, []int{32, 1, 256}},
	{"tarball 300 KB, Range", tarball300K, "", false, part, []int{32}},
	{"tarball 300 KB, HEAD", tarball300K, "", false, head, []int{32}},
	{"tarball 5.8 MB", tarball6M, "", false, whole, []int{16, 1, 256}},
	{"tarball 50 MB", tarball50M, "", false, whole, []int{16}},
}

// quick are the cases of a run that is to take seconds.
func quick(h hit) bool {
	return slices.Contains([]string{"is-number abbreviated, gzip", "is-number abbreviated, 304", "express full, gzip", "tarball 4 KB", "tarball 300 KB, HEAD", "tarball 300 KB, Range"}, h.name)
}

// request is what h sends to a server. etag is that server's, from an answer
// to the whole.
func (h hit) request(base, etag string) Request {
	r := Request{Method: http.MethodGet, URL: base + h.shape.Name, Header: http.Header{}}
	if h.accept == "" {
		r.URL = base + h.shape.Tarball()
	} else {
		r.Header.Set("Accept", h.accept)
	}
	if h.gzip {
		r.Header.Set("Accept-Encoding", "gzip")
	}
	switch h.how {
	case whole:
	case revalidated:
		r.Header.Set("If-None-Match", etag)
	case head:
		r.Method = http.MethodHead
	case part:
		r.Header.Set("Range", h.byteRange())
	}
	return r
}
