package npm

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// roomy are limits that no test of something else meets.
var roomy = PutLimits{Tarball: 64 << 20, Document: 64 << 20}

// readPut reads body and returns, of a tarball in it, the bytes.
func readPut(r io.Reader, limits PutLimits) (p *Put, tarball []byte, err error) {
	var sink bytes.Buffer
	p, err = ReadPut(r, limits, func() (io.Writer, error) { return &sink, nil })
	return p, sink.Bytes(), err
}

// putBody is a publish as npm sends it, with attachments in place of its own.
func putBody(attachments string) string {
	return `{"_id":"lib","name":"lib","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{}},"access":null,"_attachments":` + attachments + `}`
}

func TestReadPut(t *testing.T) {
	const doc = `{"_id":"lib","name":"lib","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{}},"access":null}`
	tarball := func(length, size int64) Attachment {
		return Attachment{Name: "lib-1.0.0.tgz", ContentType: "application/octet-stream", Length: length, Size: size}
	}
	tests := []struct {
		name, body string
		want       []Attachment
		tarball    string
	}{
		{"as npm has it", putBody(`{"lib-1.0.0.tgz":{"content_type":"application/octet-stream","data":"aGVsbG8=","length":5}}`),
			[]Attachment{tarball(5, 5)}, "hello"},
		{"data last", putBody(`{"lib-1.0.0.tgz":{"length":5,"content_type":"application/octet-stream","data":"aGVsbG8="}}`),
			[]Attachment{tarball(5, 5)}, "hello"},
		{"attachments first", `{"_attachments":{"lib-1.0.0.tgz":{"data":"aGVsbG8="}},` + doc[1:],
			[]Attachment{{Name: "lib-1.0.0.tgz", Length: -1, Size: 5}}, "hello"},
		{"an escaped key of attachments", `{"\u005fattachments":{"lib-1.0.0.tgz":{"\u0064ata":"aGVsbG8="}},` + doc[1:],
			[]Attachment{{Name: "lib-1.0.0.tgz", Length: -1, Size: 5}}, "hello"},
		{"attachments alone at the end, in white space", " \n" + doc[:len(doc)-1] + "\t,\r\n" +
			`"_attachments" : { "lib-1.0.0.tgz" : { "data" : "aGVsbG8=" , "length" : 5 } } } ` + "\n",
			[]Attachment{{Name: "lib-1.0.0.tgz", Length: 5, Size: 5}}, "hello"},
		{"the length as a string", putBody(`{"lib-1.0.0.tgz":{"content_type":"application/octet-stream","data":"aGVsbG8=","length":"5"}}`),
			[]Attachment{tarball(5, 5)}, "hello"},
		{"a length that is not true", putBody(`{"lib-1.0.0.tgz":{"content_type":"application/octet-stream","data":"aGVsbG8=","length":7}}`),
			[]Attachment{tarball(7, 5)}, "hello"},
		{"no length", putBody(`{"lib-1.0.0.tgz":{"content_type":"application/octet-stream","data":"aGVsbG8=","length":null}}`),
			[]Attachment{tarball(-1, 5)}, "hello"},
		{"no data", putBody(`{"lib-1.0.0.tgz":{"content_type":"application/octet-stream","stub":true}}`), []Attachment{tarball(-1, 0)}, ""},
		{"empty data", putBody(`{"lib-1.0.0.tgz":{"content_type":"application/octet-stream","data":""}}`), []Attachment{tarball(-1, 0)}, ""},
		{"one padding", putBody(`{"lib-1.0.0.tgz":{"content_type":"application/octet-stream","data":"AQI="}}`), []Attachment{tarball(-1, 2)}, "\x01\x02"},
		{"two paddings", putBody(`{"lib-1.0.0.tgz":{"content_type":"application/octet-stream","data":"AQ=="}}`), []Attachment{tarball(-1, 1)}, "\x01"},
		{"no padding", putBody(`{"lib-1.0.0.tgz":{"content_type":"application/octet-stream","data":"AQID"}}`), []Attachment{tarball(-1, 3)}, "\x01\x02\x03"},
		{"escaped slashes and more", putBody(`{"lib-1.0.0.tgz":{"content_type":"application\/octet-stream","data":"\/\/\u002B\u002f\u0041w\u003d\u003D"}}`),
			[]Attachment{tarball(-1, 4)}, "\xff\xff\xbf\x03"},
		{"a scope in the name", putBody(`{"@acme\/lib-1.0.0.tgz":{"data":"AQID"}}`),
			[]Attachment{{Name: "@acme/lib-1.0.0.tgz", Length: -1, Size: 3}}, "\x01\x02\x03"},
		{"with provenance before it", putBody(`{"lib-1.0.0.sigstore":{"content_type":"application/vnd.dev.sigstore.bundle+json","data":"{\"a\":\"\u00e4\\\"\"}","length":8},` +
			`"lib-1.0.0.tgz":{"data":"AQID"}}`),
			[]Attachment{
				{Name: "lib-1.0.0.sigstore", ContentType: "application/vnd.dev.sigstore.bundle+json", Length: 8, Size: 12, Data: []byte(`{"a":"ä\""}`)},
				{Name: "lib-1.0.0.tgz", Length: -1, Size: 3},
			}, "\x01\x02\x03"},
		{"attachments null", putBody("null"), nil, ""},
		{"attachments empty", putBody("{ }"), nil, ""},
		{"no attachments", doc, nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			// A window ends anywhere.
			for _, r := range []io.Reader{
				strings.NewReader(tt.body), iotest.OneByteReader(strings.NewReader(tt.body)), iotest.DataErrReader(strings.NewReader(tt.body)),
			} {
				p, tarball, err := readPut(r, roomy)
				if err != nil {
					t.Fatal(err)
				}
				if got := string(p.Doc.AppendJSON(nil)); got != doc {
					t.Errorf("the document is %s", got)
				}
				if diff := cmp.Diff(tt.want, p.Attachments); diff != "" {
					t.Errorf("attachments, -want +got:\n%s", diff)
				}
				if string(tarball) != tt.tarball {
					t.Errorf("the tarball is %q, want %q", tarball, tt.tarball)
				}
			}
		})
	}
}

func TestReadPutRefuses(t *testing.T) {
	tests := []struct{ name, body, says string }{
		{"nothing", "", "ends before"},
		{"white space", "  ", "ends before"},
		{"an array", "[]", "not valid JSON"},
		{"null", "null", "not valid JSON"},
		{"a byte order mark", "\ufeff{}", "not valid JSON"},
		{"cut off", `{"name":"lib"`, "ends before"},
		{"cut off in a string", `{"name":"li`, "ends before"},
		{"cut off in an attachment", putBody(`{"a.tgz":{"data":"AQID`), "ends before"},
		{"cut off in an escape", `{"_attachments":{"a.tgz":{"data":"AQID\u00`, "ends before"},
		{"something behind it", putBody("{}") + "x", "follows"},
		{"another document", putBody("{}") + "{}", "follows"},
		{"a NUL behind it", putBody("{}") + "\x00", "follows"},
		{"a bad value", `{"name":lib}`, "not valid JSON"},
		{"no value", `{"name":}`, "not valid JSON"},
		{"a value too many", `{"name":1 2}`, "not valid JSON"},
		{"brackets that do not match", `{"name":[}}`, "not valid JSON"},
		{"a comma too many", `{"name":1,}`, "not valid JSON"},
		{"a comma before attachments alone", `{,"_attachments":{}}`, "not valid JSON"},
		{"two commas around attachments", `{"name":1,"_attachments":{},,"x":1}`, "not valid JSON"},
		{"a key without quotes", `{name:1}`, "not valid JSON"},
		{"a key with a control character", "{\"na\nme\":1}", "not valid JSON"},
		{"too deep", `{"a":` + strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth) + "}", "not valid JSON"},
		{"much too deep", `{"a":` + strings.Repeat("[", 2<<20) + strings.Repeat("]", 2<<20) + "}", "not valid JSON"},
		{"attachments an array", putBody("[]"), "not an object"},
		{"attachments a string", putBody(`"x"`), "not an object"},
		{"two attachments members", `{"_attachments":{},"_attachments":null}`, `two "_attachments"`},
		{"two, one of them escaped", `{"_attachments":{},"_\u0061ttachments":null}`, `two "_attachments"`},
		{"two tarballs", putBody(`{"a.tgz":{"data":"AQID"},"b.tgz":{"data":"AQID"}}`), "two tarballs"},
		{"one tarball twice", putBody(`{"a.tgz":{"data":"AQID"},"a.tgz":{"data":"AQID"}}`), "two tarballs"},
		{"two tarballs, one without data", putBody(`{"a.tgz":{},"b.tgz":{"data":"AQID"}}`), "two tarballs"},
		{"one attachment twice", putBody(`{"a":{"data":"1"},"\u0061":{"data":"2"}}`), "twice"},
		{"too many attachments", putBody(`{"0":{},"1":{},"2":{},"3":{},"4":{},"5":{},"6":{},"7":{},"8":{},"9":{},"a":{},"b":{},"c":{},"d":{},"e":{},"f":{},"g":{}}`), "more than 16"},
		{"an attachment that is no object", putBody(`{"a.tgz":"AQID"}`), "not valid JSON"},
		{"data twice", putBody(`{"a.tgz":{"data":"AQID","data":"AQID"}}`), `two "data"`},
		{"data a number", putBody(`{"a.tgz":{"data":1}}`), "not a string"},
		{"data null", putBody(`{"a.tgz":{"data":null}}`), "not a string"},
		{"provenance a number", putBody(`{"a.sigstore":{"data":1}}`), "not a string"},
		{"provenance an object", putBody(`{"a.sigstore":{"data":{}}}`), "not a string"},
		{"a bad member of an attachment", putBody(`{"a.tgz":{"x":01}}`), "not valid JSON"},
		{"a broken length", putBody(`{"a.tgz":{"data":"AQID","length":1.5}}`), "not a number"},
		{"a negative length", putBody(`{"a.tgz":{"data":"AQID","length":-3}}`), "not a number"},
		{"a length of words", putBody(`{"a.tgz":{"data":"AQID","length":"three"}}`), "not a number"},
		{"a length that is none", putBody(`{"a.tgz":{"data":"AQID","length":true}}`), "not a number"},
		{"base64 of another alphabet", putBody(`{"a.tgz":{"data":"__-_"}}`), "not base64"},
		{"base64 without its padding", putBody(`{"a.tgz":{"data":"AQI"}}`), "not base64"},
		{"base64 with padding in the middle", putBody(`{"a.tgz":{"data":"AQ==AQID"}}`), "not base64"},
		{"base64 with padding alone", putBody(`{"a.tgz":{"data":"===="}}`), "not base64"},
		{"base64 with loose bits", putBody(`{"a.tgz":{"data":"AR=="}}`), "not base64"},
		{"base64 with spaces", putBody(`{"a.tgz":{"data":"AQ ID"}}`), "not base64"},
		{"base64 with a line break", putBody("{\"a.tgz\":{\"data\":\"AQID\n\n\n\nAQID\"}}"), "not base64"},
		{"base64 with an escaped line break", putBody(`{"a.tgz":{"data":"AQID\nAQID"}}`), "not base64"},
		{"base64 with four escaped line breaks", putBody(`{"a.tgz":{"data":"AQID\u000a\u000a\u000d\u000aAQID"}}`), "not base64"},
		{"base64 with a quote", putBody(`{"a.tgz":{"data":"AQ\"ID"}}`), "not base64"},
		{"base64 with a bad escape", putBody(`{"a.tgz":{"data":"AQ\u+041ID"}}`), "not base64"},
		{"base64 with a wide escape", putBody(`{"a.tgz":{"data":"AQ\u0141ID"}}`), "not base64"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := readPut(strings.NewReader(tt.body), roomy)
			if KindOf(err) != Invalid || !strings.Contains(Message(err), tt.says) {
				t.Errorf("got kind %v, %v; want %v that says %q", KindOf(err), err, Invalid, tt.says)
			}
		})
	}
}

// Padding that ends a block leaves its mark on the next one.
func TestReadPutPaddingAtTheEndOfABlock(t *testing.T) {
	block := strings.Repeat("A", base64Block-4) + "AQ=="
	if _, got, err := readPut(strings.NewReader(putBody(`{"a.tgz":{"data":"`+block+`"}}`)), roomy); err != nil || len(got) != base64Block/4*3-2 {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	if _, _, err := readPut(strings.NewReader(putBody(`{"a.tgz":{"data":"`+block+`AQID"}}`)), roomy); KindOf(err) != Invalid {
		t.Errorf("more after the padding: %v", err)
	}
}

// randomBytes returns size bytes that are the same in each run.
func randomBytes(size int) []byte {
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

func TestReadPutTarballsOfManySizes(t *testing.T) {
	const block = base64Block / 4 * 3
	all := randomBytes(5<<20 + 1)
	for _, size := range []int{1, 2, 3, block - 1, block, block + 1, 2*block - 2, putWindow, len(all)} {
		data := base64.StdEncoding.EncodeToString(all[:size])
		for name, text := range map[string]string{"plain": data, "escaped": strings.ReplaceAll(data, "/", `\/`)} {
			p, got, err := readPut(strings.NewReader(putBody(`{"lib-1.0.0.tgz":{"data":"`+text+`"}}`)), roomy)
			if err != nil {
				t.Fatalf("%d bytes, %s: %v", size, name, err)
			}
			if !bytes.Equal(got, all[:size]) || p.Attachments[0].Size != int64(size) {
				t.Errorf("%d bytes, %s: got %d bytes, and size %d", size, name, len(got), p.Attachments[0].Size)
			}
		}
	}
}

func TestReadPutLimits(t *testing.T) {
	const tarball = 300_000
	attachments := `{"a.tgz":{"data":"` + base64.StdEncoding.EncodeToString(randomBytes(tarball)) + `"}}`
	document := int64(len(putBody(`{"a.tgz":{"data":}}`)) + len(`"`)) // of two quotes, one is the data's
	endless := func(beginning, rest string) io.Reader {
		return io.MultiReader(strings.NewReader(beginning), &repeater{text: rest, left: 1 << 40})
	}
	tests := []struct {
		name   string
		body   io.Reader
		limits PutLimits
		says   string // "": it passes
	}{
		{"just enough for both", strings.NewReader(putBody(attachments)), PutLimits{Tarball: tarball, Document: document}, ""},
		{"a byte too much tarball", strings.NewReader(putBody(attachments)), PutLimits{Tarball: tarball - 1, Document: document}, "the tarball is larger than 299999 bytes"},
		{"a byte too much document", strings.NewReader(putBody(attachments)), PutLimits{Tarball: tarball, Document: document - 1}, "the package document is larger than"},
		{"endless tarball", endless(`{"_attachments":{"a.tgz":{"data":"`, "AQID"), PutLimits{Tarball: 1 << 20, Document: 1 << 20}, "the tarball is larger than"},
		{"endless escapes", endless(`{"_attachments":{"a.tgz":{"data":"`, `\u0041\/`), PutLimits{Tarball: 1 << 20, Document: 1 << 20}, "the tarball is larger than"},
		{"endless white space", endless(`{"a":1`, "\n"), PutLimits{Tarball: 1 << 20, Document: 1 << 20}, "the package document is larger than"},
		{"endless white space in attachments", endless(`{"_attachments":{"a.tgz":{"data"`, "\n"), PutLimits{Tarball: 1 << 20, Document: 1 << 20}, "the package document is larger than"},
		{"endless string", endless(`{"a":"`, "x"), PutLimits{Tarball: 1 << 20, Document: 1 << 20}, "the package document is larger than"},
		{"endless key", endless(`{"`, "x"), PutLimits{Tarball: 1 << 20, Document: 1 << 20}, "the package document is larger than"},
		{"endless depth", endless(`{"a":`, "["), PutLimits{Tarball: 1 << 20, Document: 1 << 20}, "the package document is larger than"},
		{"endless provenance", endless(`{"_attachments":{"a.sigstore":{"data":"`, "x"), PutLimits{Tarball: 1 << 20, Document: 1 << 20}, "the package document is larger than"},
		{"endless white space behind", endless(`{}`, " "), PutLimits{Tarball: 1 << 20, Document: 1 << 20}, "the package document is larger than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ReadPut(tt.body, tt.limits, func() (io.Writer, error) { return io.Discard, nil })
			switch {
			case tt.says == "" && err != nil:
				t.Error(err)
			case tt.says != "" && (KindOf(err) != TooLarge || !strings.Contains(Message(err), tt.says)):
				t.Errorf("got kind %v, %v; want %v that says %q", KindOf(err), err, TooLarge, tt.says)
			}
		})
	}
}

// repeater reads as text, over and over.
type repeater struct {
	text string
	off  int
	left int64
}

func (r *repeater) Read(p []byte) (n int, err error) {
	for n < len(p) && r.left > 0 {
		c := copy(p[n:min(len(p), n+int(min(r.left, 1<<20)))], r.text[r.off:])
		n, r.off, r.left = n+c, (r.off+c)%len(r.text), r.left-int64(c)
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func TestReadPutHoldsNoTarball(t *testing.T) {
	const tarball, bound = 24 << 20, 1 << 20
	body := io.MultiReader(strings.NewReader(`{"name":"lib","_attachments":{"a.tgz":{"data":"`),
		&repeater{text: strings.Repeat("AQID", 256), left: tarball / 3 * 4}, strings.NewReader(`"}}}`))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	p, err := ReadPut(body, PutLimits{Tarball: tarball, Document: 1 << 20}, func() (io.Writer, error) { return io.Discard, nil })
	runtime.ReadMemStats(&after)
	if err != nil || p.Attachments[0].Size != tarball {
		t.Fatal(err)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > bound {
		t.Errorf("%d bytes were allocated for a tarball of %d", got, tarball)
	}
}

// What breaks underneath is not the client's malformed body.
func TestReadPutKeepsOthersErrors(t *testing.T) {
	broken := errors.New("broken")
	full := &Error{Kind: NoSpace, Msg: "the disk is full"}
	body := putBody(`{"a.tgz":{"data":"` + strings.Repeat("AQID", base64Block) + `"}}`)
	good := func() (io.Writer, error) { return io.Discard, nil }
	tests := []struct {
		name    string
		body    io.Reader
		tarball func() (io.Writer, error)
		want    error
		kind    Kind
	}{
		{"the reader's", io.MultiReader(strings.NewReader(body[:200]), iotest.ErrReader(broken)), good, broken, Internal},
		{"the reader's in the document", io.MultiReader(strings.NewReader(body[:20]), iotest.ErrReader(broken)), good, broken, Internal},
		{"the reader's at the end", io.MultiReader(strings.NewReader(body), iotest.ErrReader(broken)), good, broken, Internal},
		{"a connection that breaks off", io.MultiReader(strings.NewReader(body[:200]), iotest.ErrReader(io.ErrUnexpectedEOF)), good, io.ErrUnexpectedEOF, Internal},
		{"the tarball's", strings.NewReader(body), func() (io.Writer, error) { return nil, full }, full, NoSpace},
		{"the writer's", strings.NewReader(body), func() (io.Writer, error) { return brokenWriter{full}, nil }, full, NoSpace},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := ReadPut(tt.body, roomy, tt.tarball); !errors.Is(err, tt.want) || KindOf(err) != tt.kind {
				t.Errorf("got kind %v, %v; want %v, %v", KindOf(err), err, tt.kind, tt.want)
			}
		})
	}

	var tooLarge *http.MaxBytesError
	limited := http.MaxBytesReader(httptest.NewRecorder(), io.NopCloser(strings.NewReader(body)), 100)
	if _, err := ReadPut(limited, roomy, good); !errors.As(err, &tooLarge) {
		t.Errorf("net/http's bound: %v", err)
	}
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

func TestReadPutAsksForNoTarballWhereThereIsNone(t *testing.T) {
	for _, body := range []string{`{"versions":{}}`, putBody(`{"a.sigstore":{"data":"{}"}}`), putBody(`{"a.tgz":{"length":3}}`)} {
		_, err := ReadPut(strings.NewReader(body), roomy, func() (io.Writer, error) {
			t.Errorf("%s: the tarball was asked for", body)
			return io.Discard, nil
		})
		if err != nil {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestPutKind(t *testing.T) {
	const tarball = `"_attachments":{"a.tgz":{"data":"AQID"}}`
	tests := []struct {
		name, body   string
		plain, atRev PutKind
	}{
		{"publish", `{"versions":{"1.0.0":{}},` + tarball + `}`, PutPublish, PutPublish},
		{"publish with users and maintainers", `{"versions":{},"users":{},"maintainers":[],` + tarball + `}`, PutPublish, PutPublish},
		{"a tarball alone", `{` + tarball + `}`, PutPublish, PutPublish},
		{"deprecate", `{"_id":"lib","versions":{"1.0.0":{"deprecated":"x"}},"maintainers":[],"users":{}}`, PutDeprecate, PutVersions},
		{"deprecate with empty attachments", `{"versions":{},"_attachments":{}}`, PutDeprecate, PutVersions},
		{"deprecate with null attachments", `{"versions":{},"_attachments":null}`, PutDeprecate, PutVersions},
		{"versions with provenance alone", `{"versions":{},"_attachments":{"a.sigstore":{"data":"{}"}}}`, PutDeprecate, PutVersions},
		{"owners", `{"_id":"lib","_rev":"1-a","maintainers":[]}`, PutUnknown, PutOwners},
		{"owners with null versions", `{"maintainers":[],"versions":null}`, PutUnknown, PutOwners},
		{"star", `{"_id":"lib","_rev":"1-a","users":{"alice":true}}`, PutStar, PutUnknown},
		{"star with provenance", `{"users":{},"_attachments":{"a.sigstore":{"data":"{}"}}}`, PutUnknown, PutUnknown},
		{"owners and users", `{"users":{},"maintainers":[]}`, PutStar, PutOwners},
		{"nothing known", `{"name":"lib","readme":"x"}`, PutUnknown, PutUnknown},
		{"nothing", `{}`, PutUnknown, PutUnknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, _, err := readPut(strings.NewReader(tt.body), roomy)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Kind(false); got != tt.plain {
				t.Errorf("without a revision: %d, want %d", got, tt.plain)
			}
			if got := p.Kind(true); got != tt.atRev {
				t.Errorf("with a revision: %d, want %d", got, tt.atRev)
			}
		})
	}
}
