package proxy

import (
	"io"
	"net/http"
)

// recorder counts what is written through it. It keeps ReadFrom, without
// which net/http cannot send files by sendfile.
type recorder struct {
	http.ResponseWriter
	status int   // 0 until the header is written
	bytes  int64 // of the body
}

// WriteHeader notes the first final status.
func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(p []byte) (int, error) {
	w.implicitHeader()
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// ReadFrom hands src to the wrapped writer, whose own ReadFrom knows how to
// send an *os.File, or an io.LimitedReader of one, without copying it.
func (w *recorder) ReadFrom(src io.Reader) (int64, error) {
	w.implicitHeader()
	n, err := io.Copy(w.ResponseWriter, src)
	w.bytes += n
	return n, err
}

func (w *recorder) implicitHeader() {
	if w.status == 0 {
		w.status = http.StatusOK
	}
}

// Unwrap is for http.ResponseController.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
