package cache

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

const (
	// packLevel is for documents that somebody waits for: the fastest level packs
	// them to within a tenth of what the better ones do, at twice the speed.
	packLevel = gzip.BestSpeed
	// refineLevel is for those that have turned out to be asked for often.
	refineLevel = 7
	// zstdWindow bounds what an encoder, and each client, holds in memory.
	zstdWindow = 1 << 20
	// maxRepacks is how many big documents are packed with zstd while they are
	// sent: an encoder takes 3 MB.
	maxRepacks = 16
)

// packer packs and unpacks. Its tools are big and are used again.
type packer struct {
	gzips   sync.Pool // of *gzip.Writer
	gunzips sync.Pool // of *gzip.Reader
	zstds   sync.Pool // of *zstd.Encoder
	turns   *Turns
	repacks chan struct{} // holds an element for each document that is packed with zstd on its way
}

// render runs render and returns what it wrote, packed, and its header.
func (p *packer) render(ctx context.Context, id string, render func(context.Context, io.Writer) error) (documentHeader, []byte, error) {
	var packed bytes.Buffer
	zip, ok := p.gzips.Get().(*gzip.Writer)
	if ok {
		zip.Reset(&packed)
	} else {
		var err error
		if zip, err = gzip.NewWriterLevel(&packed, packLevel); err != nil {
			return documentHeader{}, nil, err
		}
	}
	hash := sha256.New()
	identity := &turnWriter{w: io.MultiWriter(hash, zip), ctx: ctx, turns: p.turns}
	defer identity.done()
	if err := render(ctx, identity); err != nil {
		return documentHeader{}, nil, err
	}
	if err := ctx.Err(); err != nil {
		return documentHeader{}, nil, err
	}
	if err := zip.Close(); err != nil {
		return documentHeader{}, nil, err
	}
	p.gzips.Put(zip)
	data := bytes.Clone(packed.Bytes()) // without the buffer's spare half
	return documentHeader{
		ID:       hexHash(id),
		ETag:     `W/"` + hex.EncodeToString(hash.Sum(nil))[:32] + `"`,
		Identity: identity.n,
		Packed:   int64(len(data)),
		Sum:      crc(data),
	}, data, nil
}

// gunzip returns the identity bytes of src. Closing it does not close src.
func (p *packer) gunzip(src io.Reader) (io.ReadCloser, error) {
	zip, ok := p.gunzips.Get().(*gzip.Reader)
	if !ok {
		zip = new(gzip.Reader)
	}
	if err := zip.Reset(src); err != nil {
		return nil, err
	}
	return &gunzipReader{zip, p}, nil
}

type gunzipReader struct {
	zip  *gzip.Reader // nil once closed
	pack *packer
}

func (r *gunzipReader) Read(p []byte) (int, error) {
	if r.zip == nil {
		return 0, io.ErrClosedPipe
	}
	return r.zip.Read(p)
}

func (r *gunzipReader) Close() error {
	if r.zip != nil {
		r.pack.gunzips.Put(r.zip)
		r.zip = nil
	}
	return nil
}

// zstd returns the identity bytes of src packed with zstd. Closing it closes src.
func (p *packer) zstd(src io.ReadCloser) (io.ReadCloser, error) {
	enc, ok := p.zstds.Get().(*zstd.Encoder)
	if !ok {
		var err error
		// Concurrency 1: no goroutines.
		enc, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(zstdWindow))
		if err != nil {
			return nil, err
		}
	}
	r := &zstdReader{src: src, enc: enc, pack: p, chunk: make([]byte, zstdChunk)}
	enc.Reset(&r.out)
	return r, nil
}

// zstdChunk is how many identity bytes are packed at once.
const zstdChunk = 64 << 10

type zstdReader struct {
	src   io.ReadCloser
	enc   *zstd.Encoder // nil once closed
	pack  *packer
	chunk []byte
	out   bytes.Buffer // packed and not yet read
	ended error        // io.EOF or what broke
}

func (r *zstdReader) Read(p []byte) (int, error) {
	for r.out.Len() == 0 {
		if r.ended != nil {
			return 0, r.ended
		}
		if r.enc == nil {
			return 0, io.ErrClosedPipe
		}
		r.ended = r.fill()
	}
	return r.out.Read(p)
}

// fill packs another chunk. At the end of src it returns io.EOF.
func (r *zstdReader) fill() error {
	n, readErr := r.src.Read(r.chunk)
	if _, err := r.enc.Write(r.chunk[:n]); err != nil {
		return err
	}
	if readErr == io.EOF {
		if err := r.enc.Close(); err != nil {
			return err
		}
	}
	return readErr
}

func (r *zstdReader) Close() error {
	if r.enc == nil {
		return nil
	}
	r.enc.Reset(nil) // or the pool would keep r
	r.pack.zstds.Put(r.enc)
	r.enc = nil
	return r.src.Close()
}
