package hosted

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

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

// readFault is what becomes of an error of the store while something is read.
func readFault(err error) error { return fault(err, "the registry cannot read its disk") }

// writeFault is readFault for what is written. Nothing of it has become
// visible, as far as the store knows.
func writeFault(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return &npm.Error{Kind: npm.NoSpace, Msg: "the registry's disk is full: nothing was published", Err: err}
	}
	return fault(err, "the registry cannot write to its disk: nothing was published")
}

func fault(err error, msg string) error {
	var classified *npm.Error
	switch {
	case err == nil, errors.As(err, &classified), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, fs.ErrNotExist):
		err = errors.New(err.Error()) // see notOurs
	}
	return &npm.Error{Kind: npm.Unavailable, Msg: msg, Err: err}
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
