package npm

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
)

const (
	// putWindow is how much of a body is looked at at once, in bytes.
	putWindow = 64 << 10
	// maxAttachments bounds the attachments of a body. Two are in use: the
	// tarball and its provenance.
	maxAttachments = 16
)

const opReadPut = "npm.ReadPut"

// putScanner reads the body of a PUT from front to back. It finds where values
// end, and no more: what it keeps is validated as a whole by ParseObject. Only
// what it does not keep, around and in "_attachments", is checked here.
type putScanner struct {
	r        *bufio.Reader
	limits   PutLimits
	document int64 // bytes taken so far that are no tarball's
	reserved int64 // bytes that Reserve was asked for
	tarball  func() (io.Writer, error)
	found    []Attachment
}

func (s *putScanner) body() (*Put, error) {
	attached := false
	raw, err := s.object(func(key string) (taken bool, err error) {
		if key != "_attachments" {
			return false, nil
		}
		if attached {
			return false, notPut(`the body has two "_attachments"`)
		}
		attached = true
		return true, s.attachments()
	})
	if err != nil {
		return nil, err
	}
	if _, err := s.front(); !errors.Is(err, errCutOff) {
		if err == nil {
			err = notPut("something follows the JSON of the body")
		}
		return nil, err
	}
	doc, err := ParseObject(raw)
	if err != nil {
		return nil, err
	}
	return &Put{Doc: doc, Attachments: s.found}, nil
}

// object reads the object at the front and returns its text without the
// members that take has taken: it is called at the value of each.
func (s *putScanner) object(take func(key string) (taken bool, err error)) ([]byte, error) {
	if err := s.expect('{'); err != nil {
		return nil, err
	}
	b, err := s.front()
	if err != nil {
		return nil, err
	}
	if b == '}' {
		return []byte("{}"), s.take(1)
	}
	kept := []byte{'{'}
	for more := true; more; {
		key, err := s.key()
		if err != nil {
			return nil, err
		}
		taken, err := take(string(unquote(key)))
		if err == nil && !taken {
			if len(kept) > len("{") {
				kept = append(kept, ',')
			}
			kept = append(append(kept, key...), ':')
			kept, err = s.value(kept)
		}
		if err == nil {
			more, err = s.separator()
		}
		if err != nil {
			return nil, err
		}
	}
	return append(kept, '}'), nil
}

// separator steps over the ',' before another member, or the '}' after the last.
func (s *putScanner) separator() (more bool, err error) {
	b, err := s.front()
	if err != nil {
		return false, err
	}
	if b == ',' {
		return true, s.take(1)
	}
	return false, s.expect('}')
}

// key reads a member's key, returns it with its quotes, and steps to its value.
func (s *putScanner) key() ([]byte, error) {
	b, err := s.front()
	if err == nil && b != '"' {
		err = notPut("the body is not valid JSON: a key is missing")
	}
	if err != nil {
		return nil, err
	}
	key, err := s.value(nil)
	if err != nil {
		return nil, err
	}
	if !ValidJSON(key) {
		return nil, notPut("the body is not valid JSON: a key is not a string")
	}
	if err := s.expect(':'); err != nil {
		return nil, err
	}
	_, err = s.front()
	return key, err
}

// value appends the value at the front to dst.
func (s *putScanner) value(dst []byte) ([]byte, error) {
	var e extent
	for {
		p, err := s.peek(1)
		if err != nil {
			return nil, err
		}
		n, whole := e.scan(p)
		if err := s.take(n); err != nil {
			return nil, err
		}
		dst = append(dst, p[:n]...) // the window stands still until the next peek
		if whole {
			return dst, nil
		}
	}
}

func (s *putScanner) attachments() error {
	b, err := s.front()
	if err != nil {
		return err
	}
	if b == '{' {
		_, err := s.object(func(name string) (bool, error) { return true, s.attachment(name) })
		return err
	}
	raw, err := s.value(nil)
	if err == nil && string(raw) != "null" {
		err = notPut(`"_attachments" is not an object`)
	}
	return err
}

// attachment reads the attachment called name.
func (s *putScanner) attachment(name string) error {
	a := Attachment{Name: name, Length: -1}
	if len(s.found) == maxAttachments {
		return notPut("the body has more than %d attachments", maxAttachments)
	}
	for _, other := range s.found {
		if a.IsTarball() && other.IsTarball() {
			return notPut("the body has two tarballs, %.80q and %.80q", other.Name, name)
		}
		if name == other.Name {
			return notPut("the body has attachment %.80q twice", name)
		}
	}
	streamed := false
	raw, err := s.object(func(key string) (taken bool, err error) {
		if key != "data" || !a.IsTarball() {
			return false, nil
		}
		if streamed {
			return false, notPut(`attachment %.80q has two "data"`, name)
		}
		streamed = true
		a.Size, err = s.data()
		return true, err
	})
	if err != nil {
		return err
	}
	if err := a.describe(raw); err != nil {
		return err
	}
	s.found = append(s.found, a)
	return nil
}

// describe reads the members of an attachment: all of them, but for the data of
// a tarball.
func (a *Attachment) describe(raw []byte) error {
	o, err := ParseObject(raw)
	if err != nil {
		return err
	}
	a.ContentType = o.String("content_type")
	// npm and its like send a number, scripts of old send strings.
	if length, ok := o.Get("length"); ok && string(length) != "null" {
		text := string(length)
		if isString(length) {
			text = o.String("length")
		}
		if a.Length, err = strconv.ParseInt(text, 10, 64); err != nil || a.Length < 0 {
			return notPut("the length of attachment %.80q is not a number of bytes", a.Name)
		}
	}
	if a.IsTarball() {
		return nil
	}
	data, ok := o.Get("data")
	if ok && !isString(data) {
		return notPut("the data of attachment %.80q is not a string", a.Name)
	}
	a.Data = unquote(data)
	a.Size = int64(len(a.Data))
	return nil
}

// front steps over white space and returns the byte after it, which stays.
func (s *putScanner) front() (byte, error) {
	for {
		p, err := s.peek(1)
		if err != nil {
			return 0, err
		}
		n := 0
		for n < len(p) && isSpace(p[n]) {
			n++
		}
		if err := s.take(n); err != nil {
			return 0, err
		}
		if n < len(p) {
			return p[n], nil
		}
	}
}

// expect steps over white space and the byte b, which must be there.
func (s *putScanner) expect(b byte) error {
	got, err := s.front()
	if err != nil {
		return err
	}
	if got != b {
		return notPut("the body is not valid JSON: a %q is missing", b)
	}
	return s.take(1)
}

// peek returns all that is buffered, n bytes at least, and takes nothing. The
// slice is good until the next peek.
func (s *putScanner) peek(n int) ([]byte, error) {
	switch _, err := s.r.Peek(n); {
	case err == io.EOF:
		return nil, errCutOff
	case err != nil:
		return nil, fmt.Errorf("%s: %w", opReadPut, err)
	}
	return s.r.Peek(s.r.Buffered())
}

// take steps over n buffered bytes, which count as the document's.
func (s *putScanner) take(n int) error {
	s.document += int64(n)
	if s.document > s.limits.Document {
		return &Error{Kind: TooLarge, Op: opReadPut,
			Msg: fmt.Sprintf("the package document is larger than %d bytes, without its tarball", s.limits.Document)}
	}
	for s.limits.Reserve != nil && s.reserved < s.document {
		if err := s.limits.Reserve(reserveStep); err != nil {
			return fmt.Errorf("%s: %w", opReadPut, err)
		}
		s.reserved += reserveStep
	}
	return s.skip(n)
}

// skip steps over n buffered bytes, which count as the tarball's.
func (s *putScanner) skip(n int) error {
	_, err := s.r.Discard(n)
	return err
}

// errCutOff says that r has ended in the middle of something, or just as well
// that it has ended.
var errCutOff = notPut("the body ends before its JSON does")

func notPut(format string, args ...any) error { return invalidf(opReadPut, format, args...) }
