package cache

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// Cursor is how far a pass over a store has come, and what it has found. It is
// kept in a file of its own, so that the next process goes on with it.
type Cursor struct {
	After  string    `json:"after"` // the key that was looked at last; "" at the beginning
	Began  time.Time `json:"began"`
	Ended  time.Time `json:"ended,omitzero"`  // zero while the pass goes on
	Before time.Time `json:"before,omitzero"` // when the pass before it ended
	Files  int64     `json:"files"`
	Bytes  int64     `json:"bytes"`
	Rotten int64     `json:"rotten"`
	Unread int64     `json:"unread"` // files that could not be read
}

const (
	cursorSeal = "pass-1"
	// maxCursor bounds a cursor's file, in bytes.
	maxCursor = 4 << 10
)

var errCursor = errors.New("cache: malformed cursor")

func (c Cursor) encode() ([]byte, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	return seal(cursorSeal, append(text, '\n')), nil
}

func parseCursor(data []byte) (Cursor, error) {
	text, rest, err := unseal(cursorSeal, data)
	if err != nil || len(rest) > 0 {
		return Cursor{}, errors.Join(errCursor, err)
	}
	var c Cursor
	if err := json.Unmarshal(text, &c); err != nil {
		return Cursor{}, fmt.Errorf("%w: %w", errCursor, err)
	}
	if c.After != "" {
		if _, _, err := splitKey(c.After); err != nil {
			return Cursor{}, fmt.Errorf("%w: %w", errCursor, err)
		}
	}
	if c.Files < 0 || c.Bytes < 0 || c.Rotten < 0 || c.Unread < 0 {
		return Cursor{}, errCursor
	}
	return c, nil
}

// ReadCursor reads the cursor in a file. A missing one is at the beginning, and
// so is a damaged one, beside its error.
func ReadCursor(path string) (Cursor, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Cursor{}, nil
	}
	if err != nil {
		return Cursor{}, err
	}
	defer f.Close() // it was only read
	data, err := io.ReadAll(io.LimitReader(f, maxCursor+1))
	if err != nil {
		return Cursor{}, err
	}
	return parseCursor(data)
}

// write replaces the file at path, or leaves it as it is.
func (c Cursor) write(path string) error {
	data, err := c.encode()
	if err != nil {
		return err
	}
	temp := path + ".new"
	if err := os.WriteFile(temp, data, filePerm); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return os.Rename(temp, path)
}
