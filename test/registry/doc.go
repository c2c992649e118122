// Package registry is a small real server that speaks the public npm
// registry's read protocol, for tests to put in the place of an upstream.
//
// A [Server] serves packages that come from txtar files ([Server.Load],
// [Graph]) or from code ([Server.Add], [Server.Big], [NewProject]): both forms of a
// packument, version documents, tarballs, search, audit, signing keys and
// attestations, with the headers, encodings and oddities of the original. It
// counts what it is asked ([Server.Requests] and its neighbours), can vanish
// and come back on the same port ([Server.Stop], [Server.Start]), can differ
// from the public registry as whole mirrors do ([Mode]), and can break any
// answer in every way that a network or a registry knows ([Fault]).
package registry
