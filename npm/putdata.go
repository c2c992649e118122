package npm

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"fmt"
	"io"
	"strconv"
)

const (
	// base64Block is how much text is decoded at once, in bytes, so that a
	// tarball is written in pieces of three quarters of it.
	base64Block = 64 << 10
	// base64Stride is how far the end of the text is looked for at once, in
	// bytes. It is small beside the window for the sake of text in which every
	// other '/' is escaped: behind each the search begins anew.
	base64Stride = 4 << 10
)

// data reads the string at the front, a tarball in base64, into the writer
// that s.tarball returns. The result is the tarball's size in bytes.
func (s *putScanner) data() (size int64, err error) {
	b, err := s.front()
	if err == nil && b != '"' {
		err = notPut("the data of the tarball is not a string")
	}
	if err == nil {
		err = s.take(len(`"`))
	}
	if err != nil {
		return 0, err
	}
	w, err := s.tarball()
	if err != nil {
		return 0, fmt.Errorf("%s: %w", opReadPut, err)
	}
	d := newBase64Decoder(w, s.limits.Tarball)
	for {
		text, stop, err := s.run()
		if err == nil {
			err = d.add(text)
		}
		if err == nil {
			err = s.skip(len(text))
		}
		if err == nil && stop == '\\' {
			err = s.escape(d)
		}
		if err != nil {
			return 0, err
		}
		if stop == '"' {
			err = d.flush()
			return d.size, cmp.Or(err, s.skip(len(`"`)))
		}
	}
}

// run returns the text at the front, one stride at most, as far as it stands
// for itself, and the quote or backslash after it; 0 where there is none yet.
func (s *putScanner) run() (text []byte, stop byte, err error) {
	text, err = s.peek(1)
	text = text[:min(len(text), base64Stride)]
	for _, b := range []byte{'"', '\\'} {
		if end := bytes.IndexByte(text, b); end >= 0 {
			text, stop = text[:end], b
		}
	}
	return text, stop, err
}

// escape reads the JSON escape at the front and gives d what it stands for.
// Some encoders write '/' as "\/", and some '+' as "\u002B".
func (s *putScanner) escape(d *base64Decoder) error {
	p, err := s.peek(len(`\/`))
	if err != nil {
		return err
	}
	if p[1] == '/' {
		if err := s.skip(len(`\/`)); err != nil {
			return err
		}
		return d.add([]byte{'/'})
	}
	if p[1] != 'u' {
		return errBase64
	}
	if p, err = s.peek(len(`\u002B`)); err != nil {
		return err
	}
	char, err := strconv.ParseUint(string(p[2:6]), 16, 7)
	if err != nil {
		return errBase64
	}
	if err := s.skip(len(`\u002B`)); err != nil {
		return err
	}
	return d.add([]byte{byte(char)})
}

var errBase64 = notPut("the data of the tarball is not base64")

// base64Decoder writes what the text that is added to it decodes to, in blocks.
// It takes what RFC 4648 section 4 describes and nothing else: no line breaks,
// all the padding, no loose bits at the end.
type base64Decoder struct {
	w        io.Writer
	encoding *base64.Encoding
	text     []byte // not yet decoded; its capacity is a multiple of four
	plain    []byte // room for what a full text decodes to
	size     int64  // bytes decoded so far
	limit    int64  // of size
	ended    bool   // by padding
}

func newBase64Decoder(w io.Writer, limit int64) *base64Decoder {
	return &base64Decoder{
		w:        w,
		encoding: base64.StdEncoding.Strict(),
		text:     make([]byte, 0, base64Block),
		plain:    make([]byte, base64.StdEncoding.DecodedLen(base64Block)),
		limit:    limit,
	}
}

func (d *base64Decoder) add(text []byte) error {
	for len(text) > 0 {
		n := min(len(text), cap(d.text)-len(d.text))
		d.text = append(d.text, text[:n]...)
		text = text[n:]
		if len(d.text) == cap(d.text) {
			if err := d.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush decodes and writes the text. But for the last one, its length is a
// multiple of four.
func (d *base64Decoder) flush() error {
	if len(d.text) == 0 {
		return nil
	}
	padding := len(d.text) - len(bytes.TrimRight(d.text, "="))
	n, err := d.encoding.Decode(d.plain, d.text)
	// The library passes over line breaks, which shows in the length.
	if err != nil || d.ended || n != len(d.text)/4*3-padding {
		return errBase64
	}
	d.ended = padding > 0
	d.text = d.text[:0]
	if d.size += int64(n); d.size > d.limit {
		return &Error{Kind: TooLarge, Op: opReadPut, Msg: fmt.Sprintf("the tarball is larger than %d bytes", d.limit)}
	}
	if _, err := d.w.Write(d.plain[:n]); err != nil {
		return fmt.Errorf("%s: %w", opReadPut, err)
	}
	return nil
}
