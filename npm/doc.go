// Package npm is the npm registry's protocol as pure functions: package names,
// request paths, integrity hashes, versions and ranges, packuments and the
// error type that every other package of Larder speaks.
//
// It does no I/O, knows no HTTP server and reads no configuration.
package npm
