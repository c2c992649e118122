package cache

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// maxResponseHead bounds the stored header of a response, in bytes.
const maxResponseHead = 1 << 20

var errDamaged = errors.New("not the bytes that were stored")

// responseHead is the header of a response and where its body lies.
type responseHead struct {
	http   []byte // status line and fields as HTTP/1.1 writes them, with the empty line
	header http.Header
	body   string // key of the body's object
	size   int64  // of the body in bytes
	sum    string // bodySum of the body
	rev    string // of the header's object; not stored
}

// bodySum returns the hash that ties a body to its header.
func bodySum(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// A header is stored sealed: a line of JSON that names the body, then the
// header as HTTP writes it.
const responseSeal = "response-1"

type bodyLine struct {
	Body   string `json:"body"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

func (h responseHead) encode() []byte {
	line, err := json.Marshal(bodyLine{h.body, h.size, h.sum})
	if err != nil {
		panic(err) // two strings and a number
	}
	return seal(responseSeal, append(append(line, '\n'), h.http...))
}

func parseResponseHead(data []byte) (responseHead, error) {
	if len(data) > maxResponseHead {
		return responseHead{}, errDamaged
	}
	text, rest, err := unseal(responseSeal, data)
	if err != nil {
		return responseHead{}, err
	}
	line, http, ok := bytes.Cut(text, []byte("\n"))
	if !ok || len(rest) > 0 {
		return responseHead{}, errDamaged
	}
	var b bodyLine
	if err := json.Unmarshal(line, &b); err != nil {
		return responseHead{}, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if b.Size < 0 {
		return responseHead{}, errDamaged
	}
	resp, err := parseHTTPHead(http)
	if err != nil {
		return responseHead{}, fmt.Errorf("%w: %w", errDamaged, err)
	}
	return responseHead{http: http, header: resp.Header, body: b.Body, size: b.Size, sum: b.SHA256}, nil
}

// parseHTTPHead parses the part of a response up to its empty line.
func parseHTTPHead(head []byte) (*http.Response, error) {
	if !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		return nil, io.ErrUnexpectedEOF
	}
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(head)), nil)
	if err != nil {
		return nil, err
	}
	resp.Body.Close() // there is none
	return resp, nil
}

// parseDump takes apart a response as httputil.DumpResponse writes it. The
// head that it returns always has a Content-Length, and the body is as it lies:
// without the chunks that it came in.
func parseDump(dump []byte) (responseHead, []byte, error) {
	end := bytes.Index(dump, []byte("\r\n\r\n"))
	if end < 0 {
		return responseHead{}, nil, io.ErrUnexpectedEOF
	}
	end += len("\r\n\r\n")
	if end > maxResponseHead/2 {
		return responseHead{}, nil, fmt.Errorf("a header of %d bytes", end)
	}
	resp, err := parseHTTPHead(dump[:end])
	if err != nil {
		return responseHead{}, nil, err
	}
	body := dump[end:]
	if len(resp.TransferEncoding) > 0 {
		if body, err = dechunk(dump); err != nil {
			return responseHead{}, nil, err
		}
	} else if resp.ContentLength >= 0 && resp.ContentLength != int64(len(body)) {
		return responseHead{}, nil, fmt.Errorf("%d bytes of a body of %d", len(body), resp.ContentLength)
	}
	h, err := headOf(resp, body)
	return h, body, err
}

// headOf returns the head of a response with that body, where it lies and its
// hash apart.
func headOf(resp *http.Response, body []byte) (responseHead, error) {
	h := responseHead{header: resp.Header}
	h.header.Del("Connection")
	h.header.Set("Content-Length", strconv.Itoa(len(body)))
	var buf bytes.Buffer
	fmt.Fprintf(&buf, "HTTP/1.1 %s\r\n", resp.Status)
	if err := h.header.Write(&buf); err != nil {
		return responseHead{}, err
	}
	buf.WriteString("\r\n")
	h.http = buf.Bytes()
	return h, nil
}

func dechunk(dump []byte) ([]byte, error) {
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(dump)), nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() // it reads from memory
	return io.ReadAll(resp.Body)
}
