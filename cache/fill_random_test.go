package cache_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"larder/cache"
)

// moodySource gives the bytes of one blob, and misbehaves at random: it breaks
// off, resets, changes bits, lies about the size, forgets to resume, stalls,
// points elsewhere, or fails altogether.
type moodySource struct {
	data []byte
	rand *rand.Rand
	mu   sync.Mutex // guards rand
	open atomic.Int32
}

func (s *moodySource) chance(percent int) bool { return s.number(100) < percent }

// number returns a random one below n, which is positive.
func (s *moodySource) number(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rand.IntN(n)
}

func (s *moodySource) stall(ctx context.Context) error {
	select {
	case <-time.After(time.Duration(s.number(100)) * time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *moodySource) Expect(ctx context.Context) (cache.Expectation, error) {
	if err := s.stall(ctx); err != nil || s.chance(5) {
		return cache.Expectation{}, errors.Join(err, errReset)
	}
	e := cache.Expectation{NewCheck: newSumCheck(s.data)}
	if s.chance(10) {
		e.Location = "http://files.example/"
	}
	return e, nil
}

func (s *moodySource) Open(ctx context.Context, location string, offset int64, validator string) (*cache.Stream, error) {
	if err := s.stall(ctx); err != nil || s.chance(10) {
		return nil, errors.Join(err, errReset)
	}
	if validator == "" || s.chance(20) {
		offset = 0
	}
	data := s.data[offset:]
	if len(data) > 0 && s.chance(10) {
		data = flipped(data, s.number(len(data)))
	}
	if s.chance(5) {
		data = append(bytes.Clone(data), "more"...)
	}
	stream := &cache.Stream{Offset: offset, Size: int64(len(s.data))}
	if s.chance(80) {
		stream.Validator = "v1"
	}
	if s.chance(20) {
		stream.Size = -1
	} else if s.chance(3) {
		stream.Size++
	}
	var parts []io.Reader
	for len(data) > 0 {
		n := 1 + s.number(len(data))
		parts = append(parts, part(data[:n]))
		data = data[n:]
		switch {
		case s.chance(15):
			parts, data = append(parts, broken()), nil
		case s.chance(5):
			data = nil
		case s.chance(30):
			parts = append(parts, stallReader{ctx, s})
		}
	}
	s.open.Add(1)
	stream.Body = &countedBody{ReadCloser: io.NopCloser(io.MultiReader(parts...)), open: &s.open}
	return stream, nil
}

type stallReader struct {
	ctx context.Context
	s   *moodySource
}

func (r stallReader) Read([]byte) (int, error) {
	if err := r.s.stall(r.ctx); err != nil {
		return 0, err
	}
	return 0, io.EOF
}

// TestRandomTrouble has many readers ask for blobs of moody sources, on a disk
// that now and then fails. Whatever happens: no reader completes a wrong byte,
// nothing wrong is stored, nothing is left behind, and when the trouble is over
// the blob is there.
func TestRandomTrouble(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	goroutines := runtime.NumGoroutine()
	var completed, failed int
	onStores(t, cache.BlobsConfig{BadFor: time.Millisecond}, func(t *testing.T, b bench) {
		random := rand.New(rand.NewPCG(seed, 0))
		for round := range randomRounds {
			faults := []string{"", "", "", "", "create", "follow", "write", "commit", "sidecar", "read", "open"}
			b.store.fault = faults[random.IntN(len(faults))]
			b.store.after = random.IntN(300 * kb)
			ok, bad := troubledRound(t, b, random, fmt.Sprintf("%08x/blob", round))
			completed += ok
			failed += bad
			if t.Failed() {
				t.Fatalf("in round %d with fault %q after %d", round, b.store.fault, b.store.after)
			}
		}
	})
	t.Logf("%d reads completed, %d failed", completed, failed)
	if completed == 0 || failed == 0 {
		t.Error("the trouble was too much, or too little, to show anything")
	}
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > goroutines; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines before, %d after", goroutines, runtime.NumGoroutine())
		}
	}
}

// randomRounds is how many blobs TestRandomTrouble fills per store: two
// seconds' worth with the race detector.
const randomRounds = 40

// troubledRound lets readers loose on one blob and counts how they fared.
func troubledRound(t *testing.T, b bench, random *rand.Rand, key string) (completed, failed int) {
	src := &moodySource{data: randomBytes(random.Uint64(), random.IntN(300*kb)), rand: rand.New(rand.NewPCG(random.Uint64(), 1))}
	if random.IntN(3) == 0 {
		src.data = src.data[:min(len(src.data), 70*kb)]
	}
	var ok, bad atomic.Int32
	var readers sync.WaitGroup
	for range 1 + random.IntN(20) {
		readers.Go(func() {
			for range 3 {
				if err := src.stall(context.Background()); err != nil {
					t.Error(err)
				}
				switch err := troubledRead(b, key, src); {
				case err == nil:
					ok.Add(1)
				case errors.Is(err, errWrong):
					t.Error(err)
				default:
					bad.Add(1)
				}
			}
		})
	}
	readers.Wait()
	time.Sleep(time.Minute) // a fill may outlive its readers, but not this long
	if n := src.open.Load(); n != 0 {
		t.Errorf("%d bodies are still open", n)
	}
	wantNothingWrong(t, b.store.Store, key, src.data)

	b.store.broken.Store(false)
	defer b.store.broken.Store(true)
	blob, err := b.Get(context.Background(), key, &source{data: src.data})
	if err != nil {
		t.Fatalf("Get when the trouble is over: %v", err)
	}
	wantAll(t, blob, src.data)
	return int(ok.Load()), int(bad.Load())
}

// wantNothingWrong checks that store has either nothing under key, or right.
func wantNothingWrong(t *testing.T, store cache.Store, key string, right []byte) {
	t.Helper()
	obj, err := store.Open(context.Background(), key)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer obj.Close()
	if stored, err := io.ReadAll(obj); err != nil || !bytes.Equal(stored, right) {
		t.Errorf("%d of %d bytes are stored, or wrong ones; %v", len(stored), len(right), err)
	}
}

var errWrong = errors.New("a reader was deceived")

// troubledRead reads the blob in one of the ways that a reader may. Its error
// is errWrong if the result is one that no reader must ever get.
func troubledRead(b bench, key string, src *moodySource) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if src.chance(10) {
		time.AfterFunc(time.Duration(src.number(200))*time.Millisecond, cancel)
	}
	blob, err := b.Get(ctx, key, src)
	if err != nil {
		return err
	}
	defer blob.Close()
	size := blob.Size()
	var from io.Reader = blob
	if src.chance(20) {
		switch err := blob.Wait(ctx); {
		case err == nil:
			from = blob.Content()
		case !errors.Is(err, cache.ErrNotStored):
			return err
		}
	}
	buf := make([]byte, 1+src.number(70*kb))
	right := true // so far; before the end a reader may see wrong bytes
	for at := 0; ; {
		n, err := from.Read(buf)
		right = right && at+n <= len(src.data) && bytes.Equal(buf[:n], src.data[at:at+n])
		at += n
		switch {
		case err == io.EOF && (!right || at != len(src.data)):
			return fmt.Errorf("%w: it completed with %d bytes of %d, right: %t", errWrong, at, len(src.data), right)
		case err == io.EOF && size >= 0 && size != int64(at):
			return fmt.Errorf("%w: %d bytes came, %d were announced", errWrong, at, size)
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case src.chance(2):
			return errReset // hang up
		}
	}
}
