package cache

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

const (
	// counterFile lies beside objects/ and has the store's size, so that the next
	// process knows it at once.
	counterFile = "usage.json"
	// maxCounter bounds it, in bytes.
	maxCounter = 1 << 10
	// maxUsage is more bytes, or files, than any volume has room for.
	maxUsage = 1 << 48
	// counterEvery is how often the size is put in writing while it changes. A process
	// that is killed leaves a file that is older by that much.
	counterEvery = 5 * time.Second
)

// errCounter: the bytes of a counter say no size.
var errCounter = errors.New("cache: malformed " + counterFile)

// parseCounter reads what saveCounter wrote.
func parseCounter(data []byte) (usage, error) {
	var u usage
	if err := json.Unmarshal(data, &u); err != nil {
		return usage{}, errors.Join(errCounter, err)
	}
	switch {
	case u.Bytes < 0, u.Bytes > u.Blocks, u.Blocks > maxUsage, u.Files < 0, u.Files > maxUsage, u.Files == 0 && u.Blocks > 0:
		return usage{}, errCounter
	}
	return u, nil
}

// loadCounter reads the size that the last process left in writing.
func (d *Dir) loadCounter() (usage, error) {
	f, err := os.Open(d.counter)
	if err != nil {
		return usage{}, err
	}
	defer f.Close() // it was only read
	data, err := io.ReadAll(io.LimitReader(f, maxCounter))
	if err != nil {
		return usage{}, err
	}
	return parseCounter(data)
}

// saveCounter puts the size in writing if it has changed. It is no loss if it
// cannot: the next process counts.
func (d *Dir) saveCounter() {
	u, changed := d.size.toSave()
	if !changed {
		return
	}
	if err := d.writeCounter(u); err != nil {
		d.log.Debug("the store's size could not be put in writing", "file", d.counter, "error", err)
	}
}

func (d *Dir) writeCounter(u usage) error {
	data, err := json.Marshal(u)
	if err != nil {
		return err
	}
	f, err := d.createTemp()
	if err != nil {
		return err
	}
	_, err = f.Write(append(data, '\n'))
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), d.counter)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// keepCounter saves the size now and then.
func (d *Dir) keepCounter(ctx context.Context) {
	tick := time.NewTicker(counterEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			d.saveCounter()
		case <-ctx.Done():
			return
		}
	}
}

// learnSize finds out what the store holds without a look at it, if it can. fresh
// says that objects/ has just been made.
func (d *Dir) learnSize(fresh bool) {
	if fresh {
		d.size.know(usage{})
		return
	}
	u, err := d.loadCounter()
	switch {
	case err == nil:
		d.size.know(u)
	case !errors.Is(err, fs.ErrNotExist):
		d.log.Warn("the store's size is counted anew", "file", d.counter, "error", err)
	}
}

func counterPath(store string) string { return filepath.Join(store, counterFile) }
