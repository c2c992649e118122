package hosted

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"larder/cache"
	"larder/npm"
)

// notOurs is the error about a name that was never published here, or was
// forgotten: the only one of this package that is fs.ErrNotExist. Callers look
// upstream for such a name, so nothing else may be taken for it: a tag or a
// version that is lacking is NotFound alone, and a failing disk neither.
func notOurs(name string) error {
	return &npm.Error{Kind: npm.NotFound, Msg: "Not found: " + name, Err: fs.ErrNotExist}
}

func notFound(format string, args ...any) error {
	return &npm.Error{Kind: npm.NotFound, Msg: fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) error {
	return &npm.Error{Kind: npm.Invalid, Msg: fmt.Sprintf(format, args...)}
}

// errStale is CouchDB's sentence, which npm's own tools know.
func errStale() error {
	return &npm.Error{Kind: npm.Conflict, Msg: "Document update conflict."}
}

// ErrDisk is wrapped by every error that means that the store could not be read
// or written. What was to be changed was not, as far as the store knows.
var ErrDisk = errors.New("hosted: the store failed")

// readFault is what becomes of an error of the store while something is read.
func readFault(err error) error {
	return fault(err, npm.Unavailable, "the registry cannot read its disk"+reason(err))
}

// writeFault is readFault for what is written. No condition in which a disk takes
// nothing is better for a client than another: all are NoSpace, and the sentence
// says which it is.
func writeFault(err error) error {
	msg := "the registry cannot write to its disk" + reason(err)
	if errors.Is(err, syscall.ENOSPC) {
		msg = "the registry's disk is full"
	}
	return fault(err, npm.NoSpace, msg+": nothing was published")
}

// reason completes a sentence about a failing disk for people, "" where the
// error is for the log alone.
func reason(err error) string {
	for _, r := range []struct {
		is   error
		text string
	}{
		{syscall.EDQUOT, "its quota is used up"},
		{syscall.EROFS, "it is read-only"},
		{syscall.EMFILE, "too many files are open"},
		{syscall.ENFILE, "too many files are open"},
		{cache.ErrGone, "its directory is gone"},
		{fs.ErrNotExist, "its directory is gone"},
	} {
		if errors.Is(err, r.is) {
			return " (" + r.text + ")"
		}
	}
	return ""
}

func fault(err error, kind npm.Kind, msg string) error {
	var classified *npm.Error
	switch {
	case err == nil, errors.As(err, &classified), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, fs.ErrNotExist):
		err = errors.New(err.Error()) // see notOurs
	}
	return &npm.Error{Kind: kind, Msg: msg, Err: fmt.Errorf("%w: %w", ErrDisk, err)}
}

// damaged is about a document that is there and cannot be used.
func damaged(format string, args ...any) error {
	return &npm.Error{Kind: npm.Unavailable, Msg: fmt.Sprintf(format, args...)}
}

// wrap names the operation and its package, "" for none, where an error leaves
// this room.
func wrap(op, name string, err error) error {
	if err == nil {
		return nil
	}
	if name != "" {
		op += " " + name
	}
	return fmt.Errorf("hosted.%s: %w", op, err)
}

// resultOf returns the metrics' word for how a write ended.
func resultOf(c Change, err error) string {
	if err == nil {
		if c.Old == c.New {
			return "unchanged"
		}
		return "ok"
	}
	switch kind := npm.KindOf(err); {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "canceled"
	case kind == npm.Conflict:
		return "conflict"
	case kind == npm.NotFound, kind == npm.Invalid, kind == npm.Forbidden, kind == npm.TooLarge:
		return "refused"
	}
	return "failed"
}
