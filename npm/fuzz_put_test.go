package npm

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// FuzzReadPut reads bodies with ReadPut and with encoding/json, which shares no
// code with it: they agree on the document and on the tarball's bytes.
func FuzzReadPut(f *testing.F) {
	for _, seed := range []string{
		putBody(`{"lib-1.0.0.tgz":{"content_type":"application/octet-stream","data":"aGVsbG8=","length":5}}`),
		`{ "_attachments" : { "a.tgz" : { "length" : "1" , "data" : "\/\u002B==" } } , "a" : [ { } , "\\\"" ] } `,
		`{"_attachments":{"a.sigstore":{"data":"{\"x\":\"\u00e4\"}","length":1},"@s/a.tgz":{"data":"AQ=="}},"a":1,"a":2}`,
		`{"_attachments":{}}`, `{"_attachments":null,"x":-1.5e3}`, `{"a.tgz":{"data":"x"}}`, `{"_attachments":{"a.tgz":{"data":"AQ==AQID"}}}`,
		`{"_attachments":{"a.tgz":{"data":"AQ"`, `{"a":}`, `{"a":1,}`, `{}x`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p, tarball, err := readPut(bytes.NewReader(body), PutLimits{Tarball: 1 << 20, Document: 1 << 20})
		slow, same, slowErr := readPut(iotest.OneByteReader(bytes.NewReader(body)), PutLimits{Tarball: 1 << 20, Document: 1 << 20})
		if diff := cmp.Diff(p, slow); diff != "" || !bytes.Equal(tarball, same) || (err == nil) != (slowErr == nil) {
			t.Fatalf("byte by byte it is another body: %v, %v\n%s", err, slowErr, diff)
		}
		if !utf8.Valid(body) {
			return // encoding/json replaces what gjson leaves
		}
		want, simple := decodePut(body)
		if err != nil {
			if kind := KindOf(err); kind != Invalid && kind != TooLarge {
				t.Errorf("kind %v: %v", kind, err)
			}
			if simple && want != nil {
				t.Errorf("refused: %v", err)
			}
			return
		}
		if want == nil {
			t.Fatalf("accepted as %+v", p)
		}
		if !bytes.Equal(tarball, want.tarball) {
			t.Errorf("the tarball is %q, want %q", tarball, want.tarball)
		}
		var doc map[string]json.RawMessage
		if err := json.Unmarshal(p.Doc.AppendJSON(nil), &doc); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.doc, doc); diff != "" {
			t.Errorf("the document, -want +got:\n%s", diff)
		}
	})
}

type decodedPut struct {
	doc     map[string]json.RawMessage
	tarball []byte
}

// decodePut reads a body with encoding/json; nil: it is not one. simple tells
// that it has nothing that ReadPut may refuse and JavaScript would not: a key
// twice, a length that is none, a member of another type.
func decodePut(body []byte) (put *decodedPut, simple bool) {
	text := string(body)
	simple = !strings.Contains(text, `\u`) && len(body) < 1000
	for _, word := range []string{`_attachments"`, `.tgz"`, `"data"`} {
		simple = simple && strings.Count(text, word) < 2
	}
	put = new(decodedPut)
	if json.Unmarshal(body, &put.doc) != nil || put.doc == nil {
		return nil, simple
	}
	raw, ok := put.doc["_attachments"]
	delete(put.doc, "_attachments")
	if !ok {
		return put, simple
	}
	var attachments map[string]map[string]json.RawMessage
	if json.Unmarshal(raw, &attachments) != nil {
		return nil, simple
	}
	for name, members := range attachments {
		_, length := members["length"]
		simple = simple && !length && members != nil && len(attachments) == 1
		data, ok := members["data"]
		if !ok {
			continue
		}
		var s *string
		if json.Unmarshal(data, &s) != nil || s == nil {
			return nil, simple
		}
		if !strings.HasSuffix(name, ".tgz") {
			continue
		}
		var err error
		put.tarball, err = base64.StdEncoding.Strict().DecodeString(*s)
		if err != nil || strings.ContainsAny(*s, "\r\n") {
			return nil, simple
		}
	}
	return put, simple
}
