package cache

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"

	"larder/metrics"
)

// maxNote bounds a note, in bytes.
const maxNote = 16 << 20

// noteKind is the kind of the files that hold notes.
const noteKind = "state"

// noteSeal is the kind and version of a note's seal.
const noteSeal = "note-1"

// Notes keeps small texts beside what is cached of a package, each under an
// owner and a name. They may be lost like all that is cached; one that has
// changed on disk is missing, too. A nil *Notes keeps nothing.
type Notes struct {
	store   Store
	metrics *metrics.Metrics
	log     *slog.Logger
}

// NewNotes returns Notes on store.
func NewNotes(store Store, m *metrics.Metrics, log *slog.Logger) *Notes {
	return &Notes{store: store, metrics: m, log: logOrDiscard(log)}
}

// noteKey returns the key of a note's object.
func noteKey(owner, name string) string { return FileKey(owner, noteKind, name) }

// Get returns a note, nil where there is none.
func (n *Notes) Get(ctx context.Context, owner, name string) []byte {
	if n == nil {
		return nil
	}
	key := noteKey(owner, name)
	o, err := n.store.Open(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		n.log.Warn("cannot read a note", "key", key, "error", err)
		return nil
	}
	defer o.Close() // it was only read
	data, err := io.ReadAll(io.LimitReader(o, maxNote+1))
	if err != nil {
		n.log.Warn("cannot read a note", "key", key, "error", err)
		return nil
	}
	text, rest, err := unseal(noteSeal, data)
	if err != nil || len(rest) > 0 {
		n.metrics.IntegrityFailure()
		n.metrics.Rotten("cache", onRead)
		n.log.Warn("a note was damaged on disk", "key", key, "error", err)
		return nil
	}
	return text
}

// Put stores a note; nil removes it. Of two that are put at once one wins.
func (n *Notes) Put(ctx context.Context, owner, name string, text []byte) error {
	if n == nil {
		return nil
	}
	key := noteKey(owner, name)
	if text == nil {
		err := n.store.Delete(ctx, key, Precondition{})
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	w, err := n.store.Create(ctx, key)
	if err != nil {
		return err
	}
	defer w.Abort() // after a Commit it does nothing
	if _, err := w.Write(seal(noteSeal, text)); err != nil {
		return err
	}
	_, err = w.Commit(Precondition{})
	return err
}
