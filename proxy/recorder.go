package proxy

import (
	"errors"
	"io"
	"net/http"
	"os"
	"syscall"
	"time"
)

// Bounds on clients that take a response slowly. There is none on the whole: a
// tarball on a slow line takes as long as it takes.
const (
	// sendSilence is how long a client may take for sendStep bytes. Slower
	// than 17 kbit/s is taken for gone, or for somebody who holds connections on purpose.
	sendSilence = 2 * time.Minute
	// sendStep is how many bytes are handed to the kernel under one deadline.
	sendStep = 256 << 10
	// renewShare is the part of sendSilence for which a deadline is as good as a new
	// one: one in so many. Most responses are sent under one.
	renewShare = 8
)

// recorder counts what is written through it, and breaks off clients that do
// not take it. It keeps ReadFrom, without which net/http cannot send files by
// sendfile.
type recorder struct {
	http.ResponseWriter
	silence time.Duration // for each step, or up to a renewShare more; 0: no bound
	renewed time.Time     // when the client was given its time
	status  int           // 0 until the header is written
	bytes   int64         // of the body
	stalled bool          // the client was broken off
	unread  error         // why what was to be sent could not be read
}

// WriteHeader notes the first final status.
func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(p []byte) (sent int, err error) {
	w.implicitHeader()
	for {
		w.renew()
		n, err := w.ResponseWriter.Write(p[sent:min(len(p), sent+sendStep)])
		sent += n
		w.note(int64(n), err)
		if err != nil || sent == len(p) {
			return sent, err
		}
	}
}

// ReadFrom hands files, and io.LimitedReaders of them, to the wrapped writer,
// whose own ReadFrom knows how to send them without copying. What other sources
// wait for is not held against the client.
func (w *recorder) ReadFrom(src io.Reader) (sent int64, err error) {
	w.implicitHeader()
	limited, ok := src.(*io.LimitedReader)
	if !ok {
		limited = &io.LimitedReader{R: src, N: 1<<63 - 1}
	}
	if _, ok := limited.R.(*os.File); !ok {
		sent, err = io.Copy(struct{ io.Writer }{w}, src)
		w.note(0, err)
		return sent, err
	}
	for limited.N > 0 {
		step := io.LimitedReader{R: limited.R, N: min(limited.N, sendStep)}
		w.renew()
		n, err := io.Copy(w.ResponseWriter, &step)
		sent += n
		limited.N -= n
		w.note(n, err)
		if err != nil || n < sendStep {
			return sent, err
		}
	}
	return sent, nil
}

// renew gives the client its time anew, unless that was done a moment ago. Where
// it cannot be set there is no connection that could be held.
func (w *recorder) renew() {
	if w.silence <= 0 {
		return
	}
	now, share := time.Now(), w.silence/renewShare
	if now.Sub(w.renewed) < share {
		return
	}
	w.renewed = now
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(now.Add(w.silence + share))
}

func (w *recorder) note(sent int64, err error) {
	w.bytes += sent
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.stalled = true
	case errors.Is(err, syscall.EIO), errors.Is(err, syscall.ESTALE): // no socket says so
		w.unread = err
	}
}

func (w *recorder) implicitHeader() {
	if w.status == 0 {
		w.status = http.StatusOK
	}
}

// Unwrap is for http.ResponseController.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
