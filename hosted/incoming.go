package hosted

import (
	"context"
	"crypto/sha1"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	"larder/cache"
	"larder/npm"
)

const (
	// overshoot is by how much npm.ReadPut's limit on a tarball lies above
	// ours, in bytes: ours strikes first, and its sentence says what to configure.
	overshoot = 1 << 20
	// maxLag is how far the inspection of a tarball may lag behind what is
	// written, in blocks, and blockSize the bytes of one: what npm.ReadPut
	// writes at once.
	maxLag    = 8
	blockSize = 48 << 10
)

// incoming is a tarball on its way into the store. While it is decoded and
// written, a goroutine takes its SHA-512 and looks into it: two cores then have
// about the same to do. It is used by one goroutine; abort must be called in
// the end.
type incoming struct {
	w      cache.Writer
	owner  string // the store's directory of the package
	max    int64  // bytes
	size   int64
	sha1   hash.Hash
	stored bool // the store has it under its key

	blocks    chan []byte   // for inspect; closed by wait
	free      chan []byte   // blocks that inspect has read
	made      int           // blocks so far: at most maxLag, then they go round
	ended     bool          // blocks is closed, and flushed made
	flushed   chan struct{} // closed when the bytes are durable, or cannot be
	inspected chan struct{} // closed when inspect ends: before all is written, only if it failed

	// The results, after wait.
	sha512  []byte
	info    npm.TarballInfo
	infoErr error
}

func (p *Packages) receiveTarball(ctx context.Context, name string) (*incoming, error) {
	// The key is made of the hash, so it is given in commit.
	w, err := p.store.Create(ctx, owner(name)+"/tgz")
	if err != nil {
		return nil, writeFault(err)
	}
	in := &incoming{
		w: w, owner: owner(name), max: p.maxPublish, sha1: sha1.New(),
		blocks: make(chan []byte, maxLag), free: make(chan []byte, maxLag), inspected: make(chan struct{}),
	}
	go in.inspect() // wait waits for it
	return in, nil
}

// inspect takes what may be built to break a parser: outside of the request's
// goroutine a panic would take the server along.
func (in *incoming) inspect() {
	defer close(in.inspected)
	defer func() {
		if r := recover(); r != nil {
			in.infoErr = fmt.Errorf("inspect the tarball: panic: %v", r)
		}
	}()
	h := sha512.New()
	r := io.TeeReader(&blockReader{in: in}, h)
	if in.info, in.infoErr = npm.InspectTarball(r); in.infoErr == nil {
		_, in.infoErr = io.Copy(io.Discard, r) // nothing is left, but the hash must be of all
	}
	in.sha512 = h.Sum(nil)
}

// blockReader reads the blocks of an incoming tarball.
type blockReader struct {
	in          *incoming
	block, rest []byte // the present one, and what of it is not read yet
}

func (r *blockReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.block != nil {
			r.in.free <- r.block // there is room for all that were made
		}
		block, ok := <-r.in.blocks
		if !ok {
			r.block = nil
			return 0, io.EOF
		}
		r.block, r.rest = block, block
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// Write takes a piece of the tarball. Its error is fit for clients.
func (in *incoming) Write(b []byte) (int, error) {
	if in.size += int64(len(b)); in.size > in.max {
		return 0, &npm.Error{Kind: npm.TooLarge,
			Msg: fmt.Sprintf("the tarball is larger than the %s that hosted.max_publish allows", sizeText(in.max))}
	}
	n, err := in.w.Write(b)
	if err != nil {
		return n, writeFault(err)
	}
	in.sha1.Write(b)
	return n, in.forward(b)
}

// forward hands a copy of b, which the caller uses again, to the inspection.
func (in *incoming) forward(b []byte) error {
	var block []byte
	if in.made < maxLag {
		in.made++
		block = make([]byte, 0, max(blockSize, len(b)))
	} else {
		select {
		case block = <-in.free:
		case <-in.inspected:
			return in.infoErr // it can only have failed: the tarball has not ended
		}
	}
	in.blocks <- append(block[:0], b...) // there is room for all that were made
	return nil
}

// wait ends the tarball and waits for what the inspection finds. Meanwhile the
// bytes go to disk, since they will mostly be published.
func (in *incoming) wait() {
	if !in.ended {
		in.ended = true
		close(in.blocks)
		in.flushed = make(chan struct{})
		go func() {
			defer close(in.flushed)
			_ = flush(in.w) // commit fails with the same error
		}()
	}
	<-in.inspected
	<-in.flushed
}

// abort throws the tarball away, unless it was committed.
func (in *incoming) abort() error {
	in.wait()
	return in.w.Abort()
}

// describe returns what the document says of the tarball.
func (in *incoming) describe() tarball {
	sum := hex.EncodeToString(in.sha512)
	return tarball{
		Key:    in.owner + "/tgz-" + sum[:blobHash],
		Size:   in.size,
		SHA512: sum,
		SHA1:   hex.EncodeToString(in.sha1.Sum(nil)),
	}
}

// blobHash is the number of hexadecimal digits of the SHA-512 in a blob's key.
const blobHash = 64

// integrity returns the SHA-512 as a Subresource Integrity string.
func (in *incoming) integrity() string { return sri("sha512", in.sha512) }

func sri(algorithm string, sum []byte) string {
	return algorithm + "-" + base64.StdEncoding.EncodeToString(sum)
}

// commit makes the tarball durable under key, once. What lies there already has
// the same hash: it is what an earlier publish left, and is replaced by its
// like, whatever a bad disk may have made of it.
func (in *incoming) commit(key string) error {
	if in.stored {
		return nil
	}
	w, ok := in.w.(cache.Retargeter)
	if !ok {
		return fmt.Errorf("hosted: the store's %T cannot change its key", in.w)
	}
	if err := w.Retarget(key); err != nil {
		return writeFault(err)
	}
	if _, err := in.w.Commit(cache.Precondition{}); err != nil {
		return writeFault(err)
	}
	in.stored = true
	return nil
}

// sizeText writes a number of bytes as the configuration does.
func sizeText(n int64) string {
	if n%1e6 == 0 {
		return fmt.Sprintf("%d MB", n/1e6)
	}
	return fmt.Sprintf("%d bytes", n)
}
