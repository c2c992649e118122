// Package auth says who is asking and whether they may: accounts in an
// htpasswd file, tokens of which only a hash is kept, and access rules by
// package pattern. It also keeps what belongs to accounts: profiles, web
// logins, the audit log, and the key that signs the packages published here.
//
// The command line works on the same directory while a server runs: everything
// on disk is replaced as a whole, by rename, and looked at again when it is
// used. Nothing here knows HTTP's routes or what a package holds.
package auth
