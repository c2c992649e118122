// Package hosted keeps the packages that are published here. It is the only
// copy: what it has acknowledged is on disk, and nothing in it is ever evicted.
//
// A package is one document, changed by compare-and-swap, and one blob for each
// version, under a key that holds the hash of its bytes. A blob is on disk
// before the document names it, and the document forgets it before it goes: a
// crash leaves at most a blob that nothing names.
//
// It knows nothing of upstream registries, of who may do what, and of HTTP.
package hosted
