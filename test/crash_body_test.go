package test

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"larder/test/rig"
)

// A publish whose body never ended is no publish.
func TestChecklist57_KilledInTheMiddleOfABody(t *testing.T) {
	p := newPair(t, "LARDER_HOSTED_RESERVED=@acme/*")
	alice := p.adduser(t, "alice")
	for _, end := range []string{"killed", "stopped"} {
		r := lib("@acme/"+end, "1.0.0")
		tgz := r.pack(t)
		body := mustJSON(t, npmBody(p.url(), r, tgz))
		half := newStopBody(body[:len(body)-40])
		done := make(chan error, 1)
		go func() {
			answer, err := p.upload(escaped(r.name), half, int64(len(body)), alice.auth())
			if err == nil && answer.status/100 == 2 {
				err = fmt.Errorf("half a publish succeeded: %s", answer.body)
			} else {
				err = nil
			}
			done <- err
		}()
		<-half.read
		if end == "killed" {
			p.larder.Kill()
			half.end()
		} else {
			half.end() // the client leaves
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if end == "killed" {
			p.start(t)
		}
		p.get(t, escaped(r.name)).wantRefusal(t, http.StatusNotFound)
		p.get(t, r.path()).wantRefusal(t, http.StatusNotFound)
		p.put(t, alice, r.name, body).wantWritten(t)
		p.wantPublished(t, r, tgz)
	}
	if !rig.Eventually(t, patience, func() bool { return len(p.leftovers(t)) == 0 }) { // swept in the background
		t.Errorf("left behind: %q", p.leftovers(t))
	}
}

// stopBody is a body that stops where its text ends, and breaks off at end.
type stopBody struct {
	io.Reader
	once sync.Once
	read chan struct{} // closed when all there is was read
	stop chan struct{}
}

func newStopBody(text string) *stopBody {
	return &stopBody{Reader: strings.NewReader(text), read: make(chan struct{}), stop: make(chan struct{})}
}

func (b *stopBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != io.EOF {
		return n, err
	}
	b.once.Do(func() { close(b.read) })
	<-b.stop
	return 0, io.ErrUnexpectedEOF
}

func (b *stopBody) end() { close(b.stop) }

// leftovers are the temporary files beside what is published.
func (p *pair) leftovers(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(p.data, "hosted", "tmp", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}
