package npm

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// tarEntry is a regular file unless its header says otherwise.
type tarEntry struct {
	name, data string
	header     tar.Header // Name and Size are set from the above
}

var goodJSON = tarEntry{name: "package/package.json", data: `{"name":"lib","version":"1.0.0"}`}

// packTar returns a tar archive without its end.
func packTar(t testing.TB, entries ...tarEntry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := e.header
		h.Name = e.name
		if h.Linkname == "" {
			h.Size = int64(len(e.data))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// tarEnd is what marks the end of an archive.
var tarEnd = make([]byte, 1024)

// packGzip returns one gzip member of all parts.
func packGzip(t testing.TB, parts ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	for _, part := range parts {
		if _, err := z.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// packed returns a tarball of entries.
func packed(t testing.TB, entries ...tarEntry) []byte {
	t.Helper()
	return packGzip(t, packTar(t, entries...), tarEnd)
}

func TestInspectTarball(t *testing.T) {
	size := int64(len(goodJSON.data))
	good := TarballInfo{Files: 1, Unpacked: size, Name: "lib", Version: "1.0.0"}
	with := func(change func(*TarballInfo)) TarballInfo {
		info := good
		change(&info)
		return info
	}
	link := tar.Header{Typeflag: tar.TypeSymlink, Linkname: "../../etc/passwd"}
	tests := []struct {
		name    string
		tarball []byte
		want    TarballInfo
	}{
		{"the least", packed(t, goodJSON), good},
		{"files, directories, links", packed(t,
			tarEntry{name: "package/", header: tar.Header{Typeflag: tar.TypeDir}}, goodJSON,
			tarEntry{name: "package/lib/a.js", data: "12345"}, tarEntry{name: "package/link", header: link}, tarEntry{name: "package/empty"}),
			with(func(i *TarballInfo) { i.Files, i.Unpacked = 3, size+5 })},
		{"another root", packed(t, tarEntry{name: "node v1/package.json", data: goodJSON.data}), good},
		{"package.json further down is another's", packed(t,
			tarEntry{name: "package/a/package.json", data: "no JSON"}, goodJSON, tarEntry{name: "package.json", data: "not unpacked"}),
			with(func(i *TarballInfo) { i.Files, i.Unpacked = 3, size+19 })},
		{"a path with detours", packed(t, tarEntry{name: "package//./package.json", data: goodJSON.data}), good},
		{"a long path", packed(t, tarEntry{name: "package/" + strings.Repeat("a/", 200) + "a.js"}, goodJSON), with(func(i *TarballInfo) { i.Files = 2 })},
		{"a byte order mark", packed(t, tarEntry{name: "package/package.json", data: "\ufeff" + goodJSON.data}),
			with(func(i *TarballInfo) { i.Unpacked += 3 })},
		{"private", packed(t, tarEntry{name: "package/package.json", data: `{"private":true,"name":"lib","version":"1.0.0"}`}),
			with(func(i *TarballInfo) { i.Private, i.Unpacked = true, 47 })},
		{"not private", packed(t, tarEntry{name: "package/package.json", data: `{"private":null,"name":"lib","version":"1.0.0"}`}),
			with(func(i *TarballInfo) { i.Unpacked = 47 })},
		{"no name", packed(t, tarEntry{name: "package/package.json", data: `{"name":1}`}), TarballInfo{Files: 1, Unpacked: 10}},
		{"npm-shrinkwrap.json", packed(t, goodJSON, tarEntry{name: "package/npm-shrinkwrap.json"}),
			with(func(i *TarballInfo) { i.Files, i.HasShrinkwrap = 2, true })},
		{"npm-shrinkwrap.json further down", packed(t, goodJSON, tarEntry{name: "package/a/npm-shrinkwrap.json"}),
			with(func(i *TarballInfo) { i.Files = 2 })},
		{"binding.gyp", packed(t, tarEntry{name: "package/binding.gyp"}, goodJSON), with(func(i *TarballInfo) { i.Files, i.HasGyp = 2, true })},
		{"binding.gyp that is a link", packed(t, goodJSON, tarEntry{name: "package/binding.gyp", header: link}), good},
		{"the same twice", packed(t, goodJSON, goodJSON), with(func(i *TarballInfo) { i.Files, i.Unpacked = 2, 2*size })},
		{"twice, and the last counts", packed(t, goodJSON, tarEntry{name: "package/package.json", data: `{"private":1,"version":"1.0.0","name":"lib"}`}),
			with(func(i *TarballInfo) { i.Files, i.Unpacked, i.Private = 2, size+44, true })},
		{"a contiguous file", packed(t, tarEntry{name: goodJSON.name, data: goodJSON.data, header: tar.Header{Typeflag: tar.TypeCont}}), good},
		{"a pax header", packed(t, tarEntry{name: goodJSON.name, data: goodJSON.data,
			header: tar.Header{Format: tar.FormatPAX, PAXRecords: map[string]string{"NODETAR.package": "x"}}}), good},
		{"a global pax header, as of git archive", packed(t,
			tarEntry{name: "pax_global_header", header: tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "x"}}}, goodJSON), good},
		{"GNU's long names", packed(t, goodJSON, tarEntry{name: "package/" + strings.Repeat("ä", 200), header: tar.Header{Format: tar.FormatGNU}}),
			with(func(i *TarballInfo) { i.Files = 2 })},
		{"no end", packGzip(t, packTar(t, goodJSON)), good},
		{"more behind the end", packGzip(t, packTar(t, goodJSON), tarEnd, packTar(t, tarEntry{name: "package/package.json", data: "{}"})), good},
		{"several members", append(packGzip(t, packTar(t, goodJSON)), packGzip(t, packTar(t, tarEntry{name: "package/a"}), tarEnd)...),
			with(func(i *TarballInfo) { i.Files = 2 })},
		{"zeros behind the last member", append(packed(t, goodJSON), make([]byte, 100_000)...), good},
		{"a zero and anything behind the last member", append(packed(t, goodJSON), "\x00garbage"...), good},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := bytes.NewReader(tt.tarball)
			got, err := InspectTarball(r)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if r.Len() > 0 {
				t.Errorf("%d bytes were left unread", r.Len())
			}
			if again, err := InspectTarball(iotest.OneByteReader(bytes.NewReader(tt.tarball))); err != nil || again != got {
				t.Errorf("byte by byte: %+v, %v", again, err)
			}
		})
	}
}

func TestInspectTarballRefuses(t *testing.T) {
	good := packed(t, goodJSON)
	damaged := bytes.Clone(good)
	damaged[len(damaged)-8] ^= 1 // of the checksum
	header := packTar(t, goodJSON)
	header[0] ^= 1 // so that its checksum is wrong
	manifest := func(data string, h tar.Header) tarEntry {
		return tarEntry{name: "package/package.json", data: data, header: h}
	}
	tests := []struct {
		name    string
		tarball []byte
		says    string
	}{
		{"nothing", nil, "no package.json"},
		{"no gzip", []byte("hello"), "no gzip'd tar"},
		{"tar without gzip", packTar(t, goodJSON), "no gzip'd tar"},
		{"gzip without tar", packGzip(t, bytes.Repeat([]byte("hello"), 1000)), "no gzip'd tar"},
		{"an empty gzip", packGzip(t), "no package.json"},
		{"cut off", good[:len(good)-1], "no gzip'd tar"},
		{"cut off in a file", packGzip(t, packTar(t, goodJSON)[:520]), "no gzip'd tar"},
		{"a wrong gzip checksum", damaged, "no gzip'd tar"},
		{"a wrong header checksum", packGzip(t, header, tarEnd), "no gzip'd tar"},
		{"garbage behind it", append(bytes.Clone(good), "garbage"...), "no gzip'd tar"},
		{"half a member behind it", append(bytes.Clone(good), good[:10]...), "no gzip'd tar"},
		{"one empty block between files", packGzip(t, packTar(t, goodJSON), tarEnd[:512], packTar(t, goodJSON), tarEnd), "no gzip'd tar"},
		{"no package.json", packed(t, tarEntry{name: "package/index.js"}), "no package.json"},
		{"package.json without a root", packed(t, tarEntry{name: "package.json", data: goodJSON.data}), "no package.json"},
		{"package.json one level down", packed(t, tarEntry{name: "./package/package.json", data: goodJSON.data}), "no package.json"},
		{"package.json in capitals", packed(t, tarEntry{name: "package/Package.JSON", data: goodJSON.data}), "no package.json"},
		{"package.json a symbolic link", packed(t, manifest("", tar.Header{Typeflag: tar.TypeSymlink, Linkname: "a.json"})), "not a regular file"},
		{"package.json a hard link", packed(t, manifest("", tar.Header{Typeflag: tar.TypeLink, Linkname: "package/a.json"})), "not a regular file"},
		{"package.json a hard link later", packed(t, goodJSON, manifest("", tar.Header{Typeflag: tar.TypeLink, Linkname: "package/a.json"})), "not a regular file"},
		{"package.json a directory", packed(t, goodJSON, tarEntry{name: "package/package.json/", header: tar.Header{Typeflag: tar.TypeDir}}), "not a regular file"},
		{"package.json a pipe", packed(t, manifest("", tar.Header{Typeflag: tar.TypeFifo})), "not a regular file"},
		{"package.json no JSON", packed(t, manifest("{", tar.Header{})), "not a JSON object"},
		{"package.json empty", packed(t, manifest("", tar.Header{})), "not a JSON object"},
		{"package.json an array", packed(t, manifest("[]", tar.Header{})), "not a JSON object"},
		{"package.json too deep", packed(t, manifest(strings.Repeat(`{"a":`, 1<<19), tar.Header{})), "not a JSON object"},
		{"package.json too large", packed(t, manifest(goodJSON.data+strings.Repeat(" ", maxPackageJSON), tar.Header{})), "larger than 4194304 bytes"},
		{"two names", packed(t, goodJSON, manifest(`{"name":"other","version":"1.0.0"}`, tar.Header{})), "disagree"},
		{"two names, by a detour", packed(t, goodJSON, tarEntry{name: "other//package.json", data: `{"name":"other","version":"1.0.0"}`}), "disagree"},
		{"two versions", packed(t, manifest(`{"name":"lib","version":"1.0.1"}`, tar.Header{}), goodJSON), "disagree"},
		{"too many of them", packed(t, goodJSON, goodJSON, goodJSON, goodJSON, goodJSON, goodJSON, goodJSON, goodJSON, goodJSON), "more than 8"},
		{"a step up", packed(t, goodJSON, tarEntry{name: "package/../../x"}), `".."`},
		{"a step up on Windows", packed(t, goodJSON, tarEntry{name: `package/..\..\x`}), `".."`},
		{"a sparse file", packGzip(t, sparseTar(t), tarEnd), "sparse"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := InspectTarball(bytes.NewReader(tt.tarball))
			if KindOf(err) != Invalid || !strings.Contains(Message(err), tt.says) || got != (TarballInfo{}) {
				t.Errorf("got %+v, kind %v, %v; want %v that says %q", got, KindOf(err), err, Invalid, tt.says)
			}
		})
	}
}

// sparseTar returns an archive whose package.json is a GNU sparse file without
// a hole. archive/tar does not write such, so the type is changed afterwards.
func sparseTar(t *testing.T) []byte {
	t.Helper()
	b := packTar(t, tarEntry{name: goodJSON.name, data: goodJSON.data, header: tar.Header{Format: tar.FormatGNU}})
	h := b[:512]
	h[156] = tar.TypeGNUSparse
	copy(h[386:], "00000000000\x00") // the offset of the one piece, and its length, which is the size
	copy(h[398:], h[124:136])
	copy(h[483:], h[124:136]) // the size with its holes
	copy(h[148:156], "        ")
	sum := 0
	for _, c := range h {
		sum += int(c)
	}
	copy(h[148:156], []byte{'0' + byte(sum>>15&7), '0' + byte(sum>>12&7), '0' + byte(sum>>9&7), '0' + byte(sum>>6&7), '0' + byte(sum>>3&7), '0' + byte(sum&7), 0, ' '})
	return b
}

func TestInspectTarballBounds(t *testing.T) {
	zeros := make([]byte, 1<<20)
	three := packed(t, goodJSON, tarEntry{name: "package/a"}, tarEntry{name: "package/b"})
	size := int64(4*512 + 1024) // of three headers, one block of JSON, the end
	manyMembers := bytes.Repeat(packGzip(t, make([]byte, 100)), 100)
	tests := []struct {
		name    string
		tarball []byte
		limits  tarballLimits
		says    string // "": it passes
	}{
		{"just enough", three, tarballLimits{size, 3}, ""},
		{"an entry too many", three, tarballLimits{size, 2}, "more than 2 entries"},
		{"a byte too many", three, tarballLimits{size - 1, 3}, "unpacks to more than 3071 bytes"},
		{"a large file", packed(t, goodJSON, tarEntry{name: "package/a", data: string(zeros)}), tarballLimits{1 << 20, 9}, "unpacks to more than"},
		{"much behind the end", packGzip(t, packTar(t, goodJSON), tarEnd, zeros), tarballLimits{1 << 20, 9}, "unpacks to more than"},
		{"much behind the end in many members", append(packed(t, goodJSON), manyMembers...), tarballLimits{10_000, 9}, "unpacks to more than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := inspectTarball(bytes.NewReader(tt.tarball), tt.limits)
			switch {
			case tt.says == "" && err != nil:
				t.Error(err)
			case tt.says != "" && (KindOf(err) != Invalid || !strings.Contains(Message(err), tt.says)):
				t.Errorf("got kind %v, %v; want %v that says %q", KindOf(err), err, Invalid, tt.says)
			}
		})
	}
}

// A disk that fails says nothing of the tarball.
func TestInspectTarballKeepsReadErrors(t *testing.T) {
	broken := errors.New("broken")
	good := append(packed(t, goodJSON), make([]byte, 20_000)...)
	for _, n := range []int{0, 5, 30, len(good) - 20_000, len(good)} {
		_, err := InspectTarball(io.MultiReader(bytes.NewReader(good[:n]), iotest.ErrReader(broken)))
		if !errors.Is(err, broken) || KindOf(err) != Internal {
			t.Errorf("after %d bytes: kind %v, %v", n, KindOf(err), err)
		}
	}
}

func TestTarballDescribes(t *testing.T) {
	tests := []struct {
		name, version string // of package.json
		want          bool
	}{
		{"lib", "1.0.0", true},
		{" lib\n", " v1.0.0 ", true},
		{"lib", "= 1.0.0", true},
		{"lib", "1.0.0+build", true},
		{"lib", "1.0.1", false},
		{"lib", "1.0.0-rc", false},
		{"lib", "", false},
		{"Lib", "1.0.0", false},
		{"", "1.0.0", false},
	}
	for _, tt := range tests {
		if got := (TarballInfo{Name: tt.name, Version: tt.version}).Describes("lib", "1.0.0"); got != tt.want {
			t.Errorf("%q %q: got %v, want %v", tt.name, tt.version, got, tt.want)
		}
	}
	if info := (TarballInfo{Name: "lib", Version: "1.0.0+a"}); !info.Describes("lib", "1.0.0+a") || info.Describes("lib", "1.0.0+b") {
		t.Error("build metadata that was published, too, is not compared")
	}
}

// FuzzInspectTarball unpacks anything: it may be refused, but nothing else.
func FuzzInspectTarball(f *testing.F) {
	f.Add(packed(f, goodJSON), false)
	f.Add(packTar(f, goodJSON, tarEntry{name: "package/a", data: "x"}), true)
	f.Add(packTar(f, tarEntry{name: "package/" + strings.Repeat("a", 200), header: tar.Header{Format: tar.FormatPAX}}, goodJSON), true)
	f.Add(packTar(f, tarEntry{name: "package/" + strings.Repeat("a", 200), header: tar.Header{Format: tar.FormatGNU}}, goodJSON), true)
	f.Add(append(packed(f, goodJSON), packed(f, goodJSON)...), false)
	f.Fuzz(func(t *testing.T, data []byte, pack bool) {
		if pack { // or the mutations would break little but gzip's checksum
			data = packGzip(t, data)
		}
		limits := tarballLimits{unpacked: 1 << 20, entries: 100}
		info, err := inspectTarball(bytes.NewReader(data), limits)
		switch {
		case err != nil && (KindOf(err) != Invalid || info != (TarballInfo{})):
			t.Errorf("got %+v, kind %v, %v", info, KindOf(err), err)
		case err == nil && (info.Files < 1 || info.Files > limits.entries || info.Unpacked < 2 || info.Unpacked > limits.unpacked):
			t.Errorf("got %+v", info)
		}
		if again, err2 := inspectTarball(iotest.HalfReader(bytes.NewReader(data)), limits); again != info || (err == nil) != (err2 == nil) {
			t.Errorf("in other pieces: %+v, %v and not %+v, %v", again, err2, info, err)
		}
	})
}
