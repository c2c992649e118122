package auth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	lru "github.com/hashicorp/golang-lru/v2"
)

const (
	maxHeldTokens = 16_384  // parsed, in memory, at some 500 bytes each
	maxTokenFile  = 1 << 20 // bytes
	tokenExt      = ".json"
)

// tokens are the files of tokens, one each, named by the hash of the secret. A
// token counts as long as its file is there: that is looked at on each use, so
// that a token that any process has revoked is gone at once.
type tokens struct {
	disk disk
	log  *slog.Logger
	held *lru.Cache[string, heldToken] // by key
}

type heldToken struct {
	file  fs.FileInfo // of which token is the content
	token *Token
}

func newTokens(d disk, log *slog.Logger) (*tokens, error) {
	held, err := lru.New[string, heldToken](maxHeldTokens)
	if err != nil {
		return nil, err
	}
	return &tokens{d, log, held}, nil
}

// isKey reports whether key is a hash as keyOf makes them. Nothing else becomes
// part of a path.
func isKey(key string) bool { return len(key) == 64 && strings.Trim(key, "0123456789abcdef") == "" }

func (ts *tokens) path(key string) string { return ts.disk.path("tokens", key+tokenExt) }

// get returns a token, or fs.ErrNotExist. While the disk cannot be read, which
// is then the same for whoever would revoke it, one that was good the last time
// is good.
func (ts *tokens) get(key string) (*Token, error) {
	held, ok := ts.held.Get(key)
	fi, err := os.Stat(ts.path(key))
	if err == nil && ok && same(held.file, fi) {
		return held.token, nil
	}
	var raw []byte
	if err == nil {
		raw, fi, err = readFile(ts.path(key), maxTokenFile)
	}
	if err != nil {
		err = ts.disk.unreadable(err)
		if ok && !errors.Is(err, fs.ErrNotExist) {
			return held.token, nil
		}
		return nil, err
	}
	t, err := parseToken(key, raw)
	if err != nil {
		return nil, err
	}
	ts.held.Add(key, heldToken{fi, t})
	return t, nil
}

// errToken is of a file that is no token as this release knows them.
var errToken = errors.New("not a token file of this release")

// listed returns a token whose file has just been seen: one that is held needs
// no second look, since a token's file never changes.
func (ts *tokens) listed(key string) (*Token, error) {
	if held, ok := ts.held.Get(key); ok {
		return held.token, nil
	}
	return ts.get(key)
}

// parseToken reads a token's file. A member that this release does not know
// makes it an error: it may be a restriction.
func parseToken(key string, raw []byte) (*Token, error) {
	t := &Token{Key: key}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	err := dec.Decode(t)
	if err == nil && (t.User == "") == (t.Service == "") {
		err = errors.New("it belongs to nobody")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", errToken, key, err)
	}
	return t, nil
}

func (ts *tokens) put(t *Token) error {
	raw, err := json.Marshal(t)
	if err != nil {
		return err
	}
	return ts.disk.replace(ts.path(t.Key), append(raw, '\n'))
}

func (ts *tokens) remove(key string) error {
	ts.held.Remove(key)
	return ts.disk.remove(ts.path(key))
}

// each calls fn for every token, in no particular order, and stops at its first
// error, which it returns. A file that makes no sense is nobody's token: it is
// logged and passed over.
func (ts *tokens) each(ctx context.Context, fn func(*Token) error) error {
	entries, err := os.ReadDir(ts.disk.path("tokens"))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		key, ok := strings.CutSuffix(entry.Name(), tokenExt)
		if !ok || !isKey(key) {
			continue
		}
		t, err := ts.listed(key)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue // revoked since it was listed
		case errors.Is(err, errToken):
			ts.log.Error("a token's file makes no sense, so it does not count", "error", err)
			continue
		case err != nil:
			return err
		}
		if err := fn(t); err != nil {
			return err
		}
	}
	return nil
}
