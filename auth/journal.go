package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Event is one line of the audit log: a mutation, or a refused one.
type Event struct {
	Time      time.Time `json:"time"`
	Actor     string    `json:"actor"`            // Caller.Name
	Token     string    `json:"token,omitempty"`  // Caller.TokenName
	Client    string    `json:"client,omitempty"` // address
	Action    string    `json:"action"`           // "publish", "unpublish", "deprecate", "dist-tag.add", "login", "token.create", "user.add", …
	Package   string    `json:"package,omitempty"`
	Version   string    `json:"version,omitempty"`
	Subject   string    `json:"subject,omitempty"` // a tag, a user, a token's name
	OldRev    string    `json:"old_rev,omitempty"`
	NewRev    string    `json:"new_rev,omitempty"`
	Result    string    `json:"result"` // "ok", "refused" or "failed"
	Reason    string    `json:"reason,omitempty"`
	RequestID string    `json:"request,omitempty"`
}

// JournalConfig configures a Journal. What is zero means the default in brackets.
type JournalConfig struct {
	Path    string
	MaxSize int64 // bytes of a file, from which on the next one is begun [100 MB]
	Keep    int   // full files that are kept, as Path.1 (the newest) and so on [10]
}

// Journal is the audit log: a JSON object a line, a file of its own that is
// rotated by size. Several processes may write to it. A line that Record has
// returned for survives the process, but perhaps not a power cut.
type Journal struct {
	path    string
	maxSize int64
	keep    int

	mu   sync.Mutex // guards file; held while a line is written, which is what it is for
	file *os.File   // nil: after Close
}

// OpenJournal opens the audit log, or makes it.
func OpenJournal(cfg JournalConfig) (*Journal, error) {
	j := &Journal{path: cfg.Path, maxSize: cfg.MaxSize, keep: cfg.Keep}
	if j.maxSize == 0 {
		j.maxSize = 100_000_000
	}
	if j.keep == 0 {
		j.keep = 10
	}
	if j.path == "" || j.maxSize < 0 || j.keep < 0 {
		return nil, errors.New("auth.OpenJournal: it needs a path, and bounds that are not negative")
	}
	if err := j.open(); err != nil {
		return nil, fmt.Errorf("auth.OpenJournal: %w", err)
	}
	return j, nil
}

// maxEventText bounds, in bytes, each text of an event. Much of it is what a
// caller claims, refused ones too: big lines would soon rotate away what the
// caller would rather not have there.
const maxEventText = 500

// Record appends an event, of which long texts are cut. A nil Journal records
// nothing.
func (j *Journal) Record(e Event) error {
	if j == nil {
		return nil
	}
	for _, text := range []*string{&e.Actor, &e.Token, &e.Package, &e.Version, &e.Subject, &e.OldRev, &e.NewRev, &e.Reason} {
		if len(*text) > maxEventText {
			*text = strings.ToValidUTF8((*text)[:maxEventText], "") + "…"
		}
	}
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("auth.Record: %w", err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.append(append(line, '\n')); err != nil {
		return fmt.Errorf("auth.Record: %w", err)
	}
	return nil
}

// Close closes the file.
func (j *Journal) Close() error {
	if j == nil {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return nil
	}
	err := j.file.Close()
	j.file = nil
	return err
}

// append writes a line in one write, which O_APPEND keeps apart from those of
// other processes.
func (j *Journal) append(line []byte) error {
	if j.file == nil {
		return os.ErrClosed
	}
	moved, err := j.moved()
	if err == nil && moved {
		err = j.open()
	}
	if err != nil {
		return err
	}
	fi, err := j.file.Stat()
	if err != nil {
		return err
	}
	if fi.Size() > 0 && fi.Size()+int64(len(line)) > j.maxSize {
		if err := j.rotate(); err != nil {
			return err
		}
	} else if torn(j.file, fi.Size()) {
		line = append([]byte("\n"), line...)
	}
	_, err = j.file.Write(line)
	return err
}

// torn reports whether a file ends in a part of a line, which a full disk or a
// crash has left: the next line must not become its end.
func torn(f *os.File, size int64) bool {
	var last [1]byte
	if size == 0 {
		return false
	}
	_, err := f.ReadAt(last[:], size-1)
	return err == nil && last[0] != '\n'
}

// moved reports whether another process, or logrotate, has moved the open file
// away.
func (j *Journal) moved() (bool, error) {
	mine, err := j.file.Stat()
	if err != nil {
		return false, err
	}
	now, err := os.Stat(j.path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return err == nil && !os.SameFile(now, mine), err
}

// open opens the file at the journal's path in place of the one that is open.
func (j *Journal) open() error {
	f, err := os.OpenFile(j.path, os.O_RDWR|os.O_APPEND|os.O_CREATE, filePerm)
	if err != nil {
		return err
	}
	if err := giveAway(j.path, filepath.Dir(j.path)); err != nil {
		return errors.Join(err, f.Close())
	}
	if j.file != nil {
		j.file.Close() // every line that was to go there has been written
	}
	j.file = f
	return nil
}

// rotate moves the full file away and opens a new one. Of two processes that
// do so at once the second finds the path taken by another file than the one
// that it has locked, and leaves it.
func (j *Journal) rotate() error {
	if err := unix.Flock(int(j.file.Fd()), unix.LOCK_EX); err != nil {
		return err
	}
	// The lock goes with the file, which open closes.
	moved, err := j.moved()
	if err == nil && !moved {
		err = j.shift()
	}
	if err != nil {
		return err
	}
	return j.open()
}

// shift makes room: Path becomes Path.1, that Path.2, and the last one goes.
func (j *Journal) shift() error {
	name := func(n int) string {
		if n == 0 {
			return j.path
		}
		return j.path + "." + strconv.Itoa(n)
	}
	for n := j.keep - 1; n >= 0; n-- {
		if err := os.Rename(name(n), name(n+1)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
