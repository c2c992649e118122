package upstream

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"larder/cache"
)

const (
	saveEvery      = 5 * time.Minute
	maxAbsentKey   = 512     // bytes of a key that is kept
	maxAbsentBytes = 4 << 20 // of the note
	absentNote     = "absent"
	absentMagic    = "larder absent 1"
)

// absentKeeper carries the absences over restarts, as one note. A lost one
// costs nothing but a 503 where a 404 could have been.
type absentKeeper struct {
	registry *Registry
	stop     chan struct{}
	once     sync.Once // of close
	loop     sync.WaitGroup
	saved    []byte // what was written last; the goroutine's own until close
}

// keepAbsences loads what an earlier process left and saves from time to time.
func (r *Registry) keepAbsences() *absentKeeper {
	k := &absentKeeper{registry: r, stop: make(chan struct{})}
	if r.cfg.Notes == nil {
		return k
	}
	k.saved = r.cfg.Notes.Get(context.Background(), k.owner(), absentNote)
	for _, a := range parseAbsences(k.saved) {
		r.absent.long.Add(a.key, a.at)
	}
	k.loop.Go(func() {
		tick := time.NewTicker(saveEvery)
		defer tick.Stop()
		for {
			select {
			case <-k.stop:
				return
			case <-tick.C:
				k.save()
			}
		}
	})
	return k
}

// close saves a last time.
func (k *absentKeeper) close() {
	k.once.Do(func() {
		close(k.stop)
		k.loop.Wait()
		k.save()
	})
}

// owner is what no package has.
func (k *absentKeeper) owner() string { return cache.OwnerKey(k.registry.cfg.Name, "") }

// save writes what has changed.
func (k *absentKeeper) save() {
	data := k.registry.absent.format(k.registry.now())
	if bytes.Equal(data, k.saved) {
		return
	}
	if err := k.registry.cfg.Notes.Put(context.Background(), k.owner(), absentNote, data); err != nil {
		k.registry.log.Warn("what upstream is known not to have could not be saved", "error", err)
		return
	}
	k.saved = data
}

// absentLine is one absence as it is saved.
type absentLine struct {
	at  int64 // Unix seconds
	key string
}

// format returns a line for what can still be recalled, the least recent first.
func (a *absences) format(now time.Time) []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, absentMagic)
	for _, key := range a.long.Keys() {
		at, ok := a.long.Peek(key)
		old := now.Sub(time.Unix(at, 0)) >= recalledIn
		if !ok || old || len(key) > maxAbsentKey || strings.ContainsAny(key, "\r\n") || b.Len() > maxAbsentBytes-2*maxAbsentKey {
			continue
		}
		fmt.Fprintln(&b, at, key)
	}
	return b.Bytes()
}

// parseAbsences is the inverse of format. Lines that make no sense are left
// out, and so is everything where the first one is not ours.
func parseAbsences(data []byte) []absentLine {
	lines := bufio.NewScanner(bytes.NewReader(data))
	if !lines.Scan() || lines.Text() != absentMagic {
		return nil
	}
	var all []absentLine
	for lines.Scan() && len(all) < maxAbsents {
		stamp, key, ok := strings.Cut(lines.Text(), " ")
		at, err := strconv.ParseInt(stamp, 10, 64)
		if ok && err == nil && at >= 0 && key != "" && len(key) <= maxAbsentKey {
			all = append(all, absentLine{at, key})
		}
	}
	return all
}
