package cache

import (
	"context"
	"io"
)

// Source is where the bytes of one blob come from when the store lacks them.
// Its methods are called from the fill's own goroutines with a context that
// outlives the request that started it (and, once the store has failed, Open by
// each reader with that of its own request), and must return when that is done.
// A panic becomes the error of the fill.
type Source interface {
	// Expect finds out what the bytes must be. It is called once per fill, at
	// the same time as the first Open. Its error, if any, is what the readers
	// of the fill get.
	Expect(ctx context.Context) (Expectation, error)
	// Open opens the bytes at an offset. location is "" for the source's own
	// guess, or what Expect said. offset > 0 resumes a broken download of the
	// version that validator (an earlier Stream.Validator) names; a source
	// that cannot do that returns a Stream whose Offset is 0. ctx holds for as
	// long as the Stream is read.
	Open(ctx context.Context, location string, offset int64, validator string) (*Stream, error)
}

// Stream is an open download. The caller closes Body. Body must fail by itself
// when its sender falls silent.
type Stream struct {
	Body      io.ReadCloser
	Offset    int64  // of the first byte of Body
	Size      int64  // of the whole blob; -1 where it is unknown
	Validator string // a strong ETag or a date for resuming; "" if it cannot be resumed
}

// Expectation is what a blob must turn out to be.
type Expectation struct {
	// Location, where not "", is where the bytes really are; the download
	// from the source's guess is dropped, and nothing of it is ever shown.
	Location string
	// NewCheck returns a hash of what the bytes must be. nil: no hash is
	// known (legacy versions): the length and the gzip checksum are checked.
	// It may be called more than once, at the same time.
	NewCheck func() Check
	// Label is kept beside the blob: a name for people and listings.
	Label string
}

// Check verifies bytes; npm.Verifier is one.
type Check interface {
	io.Writer
	Verify() error // nil if all bytes written are the expected ones
}

// Summer is a Check that may have hashed the bytes with SHA-512 in any case: then
// they are not hashed once more for what is kept beside them.
type Summer interface {
	SHA512() []byte // of all bytes written; nil: it does not hash so
}
