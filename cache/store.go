package cache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// ErrPrecondition is returned by Commit and Delete when the key's present
// state is not the one that was demanded. Nothing has changed then.
var ErrPrecondition = errors.New("cache: precondition failed")

// ErrGone is returned by a durable store whose directory is not there any more.
var ErrGone = errors.New("cache: the store is gone")

// ErrKey is returned for a key that is not of the form that Store demands.
var ErrKey = errors.New("cache: malformed key")

// Store keeps immutable byte strings under keys. A key is one directory
// segment and one file segment, "OWNER/FILE": OWNER is 8 to 64 lower-case
// hexadecimal digits, FILE matches [a-z0-9][a-z0-9.-]{0,127}. What belongs
// together (all that is cached of one package) shares its OWNER, so that it can be
// listed at once. OwnerKey and FileKey make such keys from arbitrary strings.
//
// A missing key is reported by an error for which errors.Is(err,
// fs.ErrNotExist) holds, a malformed one by ErrKey. All methods may be called
// concurrently.
type Store interface {
	// Open returns the object under key; the caller closes it. An object that
	// is replaced or deleted meanwhile stays readable to the end.
	Open(ctx context.Context, key string) (*Object, error)
	// Create begins a write that becomes visible at Commit, all at once.
	Create(ctx context.Context, key string) (Writer, error)
	// Delete removes key if p holds. A missing key is fs.ErrNotExist, whatever
	// p demands.
	Delete(ctx context.Context, key string, p Precondition) error
	// Walk calls fn for every key that begins with prefix ("" for all, or
	// "OWNER/"), in no particular order, and stops at fn's first error, which
	// it returns. Keys that come or go meanwhile may or may not be seen.
	Walk(ctx context.Context, prefix string, fn func(Info) error) error
}

// Info describes a stored object.
type Info struct {
	Key     string
	Size    int64 // bytes
	ModTime time.Time
	Rev     string // changes with every Commit to the key, never returns to an old value
}

// Content is an object's bytes. Of a Dir it is an *os.File, which is what lets
// net/http send it by sendfile.
type Content interface {
	io.ReadSeeker
	io.ReaderAt
	io.Closer
}

// Object is an open object.
type Object struct {
	Content
	Info
}

// Writer is a write in progress, used by one goroutine. Exactly one of Commit
// and Abort must be called; calls after the first are no-ops that return an
// error from Commit and nil from Abort (so that "defer w.Abort()" is right).
type Writer interface {
	io.Writer
	// Commit makes the bytes visible under the key if p holds and returns the
	// object's new revision. On error nothing is visible and the temporary
	// bytes are gone. After a failed Write it always fails.
	Commit(p Precondition) (rev string, err error)
	Abort() error
}

// Follower is what a Writer implements if its bytes can be read while they are
// written. The Writers of Dir and Mem do.
type Follower interface {
	// Follow returns a reader of the bytes written so far, with a descriptor
	// of its own that stays valid after Commit, Abort and Delete; the caller
	// closes it. It may be called from any goroutine, until Commit or Abort.
	Follow() (FollowReader, error)
}

// Flusher is what a Writer implements if its bytes can be made durable ahead of
// Commit, which then has less to wait for: several Writers can be flushed at
// once, where their Commits have an order. The Writers of Dir do.
type Flusher interface {
	// Flush ends the writing. Its error is Commit's, too.
	Flush() error
}

// FollowReader reads a growing object. ReadAt returns io.EOF where the bytes
// written so far end, as a file does; more may come later.
type FollowReader interface {
	io.ReaderAt
	io.Closer
}

// Retargeter is what a Writer implements if its key can be changed until
// Commit: a key that holds the hash of what is written is not known before. The
// Writers of Dir and Mem do.
type Retargeter interface {
	// Retarget makes key the one that Commit will write, and on which its
	// Precondition is checked. A malformed key is ErrKey and leaves the old one in
	// force; after Commit or Abort the error is fs.ErrClosed.
	Retarget(key string) error
}

// Precondition is what must be true of a key for a Commit or Delete to
// happen. The zero value demands nothing.
type Precondition struct {
	demand demand
	rev    string
}

type demand uint8

const (
	demandNothing demand = iota
	demandAbsent
	demandRev
)

// IfAbsent demands that the key does not exist.
func IfAbsent() Precondition { return Precondition{demand: demandAbsent} }

// IfRev demands that the key exists and still has revision rev.
func IfRev(rev string) Precondition { return Precondition{demand: demandRev, rev: rev} }

// check returns ErrPrecondition unless p holds of a key that has revision rev,
// or does not exist.
func (p Precondition) check(exists bool, rev string) error {
	switch {
	case p.demand == demandAbsent && exists,
		p.demand == demandRev && (!exists || rev != p.rev):
		return ErrPrecondition
	}
	return nil
}

// keyHash is the number of hexadecimal digits that keys keep of a SHA-256. At
// 160 bits nobody can make two names that collide.
const keyHash = 40

// OwnerKey returns the OWNER segment for what is cached of one package of one
// source: a hash, so that names of any length, case and character are safe on
// every file system ("JSONStream" and "jsonstream" are two packages).
func OwnerKey(source, pkg string) string {
	// The separator can stand in neither, so no two pairs spell the same.
	return hexHash(source + "\x00" + pkg)
}

// FileKey returns the key of one file of an owner: OWNER/KIND-HASH(name).
// kind is a short lower-case word ("blob", "doc", "body", "head").
func FileKey(owner, kind, name string) string {
	return owner + "/" + kind + "-" + hexHash(name)
}

func hexHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	var digits [keyHash]byte
	hex.Encode(digits[:], sum[:len(digits)/2])
	return string(digits[:])
}

// Bounds of the two segments of a key, in bytes.
const (
	minOwner, maxOwner = 8, 64
	maxFile            = 128
)

// splitKey returns the two segments of a well-formed key. Every method of a
// store that takes a key calls it first: what it lets through cannot leave the
// store's directory.
func splitKey(key string) (owner, file string, err error) {
	owner, file, ok := strings.Cut(key, "/")
	if !ok || !validOwner(owner) || !validFile(file) {
		return "", "", fmt.Errorf("%w: %.200q", ErrKey, key)
	}
	return owner, file, nil
}

// splitPrefix returns the owner that a Walk is confined to, "" for none.
func splitPrefix(prefix string) (owner string, err error) {
	if prefix == "" {
		return "", nil
	}
	owner, ok := strings.CutSuffix(prefix, "/")
	if !ok || !validOwner(owner) {
		return "", fmt.Errorf("%w: prefix %.200q", ErrKey, prefix)
	}
	return owner, nil
}

func validOwner(s string) bool {
	if len(s) < minOwner || len(s) > maxOwner {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func validFile(s string) bool {
	if s == "" || len(s) > maxFile || s[0] == '.' || s[0] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'z') && c != '.' && c != '-' {
			return false
		}
	}
	return true
}
