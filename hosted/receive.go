package hosted

import (
	"context"
	"encoding/base64"
	"io"

	"golang.org/x/sync/semaphore"

	"larder/npm"
)

// Upload is the body of a PUT of a package, with its tarball, where it has one,
// among the store's unfinished files. It is used by one goroutine.
type Upload struct {
	Put     *npm.Put
	name    string
	tarball *incoming // nil where there is none
	memory  *semaphore.Weighted
	held    int64 // bytes of memory
}

// maxUploadMemory bounds the documents of all Uploads together, in bytes as
// sent. Packed, a two-hundredth of that would be enough to ask for it.
const maxUploadMemory = 2 * maxDocument

// Receive reads the body of PUT /NAME and PUT /NAME/-rev/REV to its end. A
// tarball in it goes to the store as it arrives; nobody sees it before Publish.
// The caller closes the Upload. Errors are those of npm.ReadPut and
// npm.InspectTarball, TooLarge above Config.MaxPublish, NoSpace and Unavailable.
//
// An Upload holds up to maxDocument in memory, out of maxUploadMemory for all,
// and MaxPublish on disk. It does not wait for room, since those who wait for
// each other's would never end: where there is none it is Unavailable.
func (p *Packages) Receive(ctx context.Context, name string, body io.Reader) (*Upload, error) {
	u := &Upload{name: name, memory: p.uploads}
	defer func() {
		if u.Put == nil { // after a panic, too: goroutines wait for the rest
			u.Close()
		}
	}()
	limits := npm.PutLimits{Tarball: p.maxPublish + overshoot, Document: p.maxDocument, Reserve: u.reserve}
	put, err := npm.ReadPut(contextReader{ctx, body}, limits, func() (io.Writer, error) {
		in, err := p.receiveTarball(ctx, name)
		if err != nil {
			return nil, err
		}
		u.tarball = in
		return in, nil
	})
	if err == nil && u.tarball != nil {
		u.tarball.wait()
		err = u.tarball.infoErr
	}
	if err != nil {
		return nil, wrap("Receive", name, err)
	}
	u.Put = put
	return u, nil
}

// MaxBody returns the size in bytes above which no body of a PUT can be
// right: the biggest tarball in base64 and everything around it.
func (p *Packages) MaxBody() int64 {
	return int64(base64.StdEncoding.EncodedLen(int(p.maxPublish))) + p.maxDocument
}

// reserve takes room for more of the document.
func (u *Upload) reserve(bytes int64) error {
	if !u.memory.TryAcquire(bytes) {
		return &npm.Error{Kind: npm.Unavailable, Msg: "too many large documents at once"}
	}
	u.held += bytes
	return nil
}

// Close throws away what was not published. It is called once.
func (u *Upload) Close() error {
	u.memory.Release(u.held)
	u.held = 0
	if u.tarball == nil {
		return nil
	}
	return u.tarball.abort()
}

// contextReader ends a body with its context, which a reader of a connection
// knows nothing of.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r contextReader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(b)
}
