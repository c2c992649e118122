package proxy

import (
	"encoding/json"
	"io"
	"net/http"
	"time"

	"larder/npm"
)

// bodySilence is how long a client may send nothing in the middle of a body.
// There is no bound on the whole: a large package on a slow line takes as long
// as it takes.
const bodySilence = 60 * time.Second

// patientBody is a request's body that is read as long as something comes.
type patientBody struct {
	body io.Reader
	conn *http.ResponseController
}

// patient returns r's body. The caller calls done when it has read what it
// wants.
func patient(x *exchange, r *http.Request) patientBody {
	return patientBody{body: r.Body, conn: http.NewResponseController(x)}
}

func (b patientBody) Read(p []byte) (int, error) {
	_ = b.conn.SetReadDeadline(time.Now().Add(bodySilence)) // where it cannot be set, nobody waits on a socket
	return b.body.Read(p)
}

// done lifts the deadline: the connection is good for more.
func (b patientBody) done() { _ = b.conn.SetReadDeadline(time.Time{}) }

// maxSmallBody bounds, in bytes, the bodies that hold a tag, a login or a
// token's description.
const maxSmallBody = 64 << 10

// smallBodyTime is for the client to send one. Nobody needs an account to begin,
// and byte by byte it would last for weeks.
const smallBodyTime = time.Minute

// hurry gives the client smallBodyTime from here on. The caller calls done when
// it has read what it wants.
func hurry(x *exchange) (done func()) {
	c := http.NewResponseController(x)
	_ = c.SetReadDeadline(time.Now().Add(smallBodyTime)) // where it cannot be set, nobody waits on a socket
	return func() { _ = c.SetReadDeadline(time.Time{}) } // the connection is good for more
}

// readSmall reads a body that is small or else refused.
func readSmall(x *exchange, r *http.Request) ([]byte, error) {
	defer hurry(x)()
	data, err := io.ReadAll(io.LimitReader(r.Body, maxSmallBody+1))
	switch {
	case err != nil:
		return nil, &npm.Error{Kind: npm.Invalid, Op: "proxy.readSmall", Msg: "the body breaks off", Err: err}
	case len(data) > maxSmallBody:
		return nil, &npm.Error{Kind: npm.TooLarge, Op: "proxy.readSmall", Msg: "the body is over 64 KB"}
	}
	return data, nil
}

// readJSON decodes a small body. None at all counts as an empty object: yarn 4
// sends none where npm sends {}.
func readJSON(x *exchange, r *http.Request, into any) error {
	data, err := readSmall(x, r)
	if err != nil || len(data) == 0 {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return &npm.Error{Kind: npm.Invalid, Op: "proxy.readJSON", Msg: "the body is not the JSON that belongs here", Err: err}
	}
	return nil
}
