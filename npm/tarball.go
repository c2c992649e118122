package npm

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// tarballLimits bounds what a tarball may hold.
type tarballLimits struct {
	unpacked int64 // bytes, headers and padding included
	entries  int   // files, directories, links
}

const (
	maxPackageJSON = 4 << 20 // bytes
	// maxManifests is how many package.json at the root are read, of which all
	// but one are overwritten when npm unpacks them.
	maxManifests = 8
)

// TarballInfo is what lies in a package's tarball.
type TarballInfo struct {
	Files         int    // how many: dist.fileCount
	Unpacked      int64  // their bytes: dist.unpackedSize
	Name, Version string // as package.json has them; see Describes
	Private       bool   // package.json says so
	HasShrinkwrap bool   // npm-shrinkwrap.json is at the root
	HasGyp        bool   // binding.gyp is at the root
}

// Describes reports whether package.json names this package and this version.
// It may do so in the ways that npm publish tidies up in the manifest that it
// sends, but not in the file: white space, "v1.2.3", and build metadata, which
// semver.clean leaves out.
func (t TarballInfo) Describes(name, version string) bool {
	clean := strings.TrimSpace(strings.TrimLeft(strings.TrimSpace(t.Version), "=v"))
	bare, _, _ := strings.Cut(clean, "+")
	return strings.TrimSpace(t.Name) == name && (clean == version || bare == version)
}

// InspectTarball reads a gzip'd tar to the end of r and checks what can be
// checked without unpacking it. The root directory may have any name: npm
// strips the first element of every path. An error of r is wrapped; every
// other is of kind Invalid: neither gzip nor tar; no package.json, or several
// that disagree on name or version; one that is no file, no JSON, or over 4
// MB; a path with ".."; over 5 GB unpacked or 500,000 entries. The memory it
// takes does not depend on the size of the tarball.
func InspectTarball(r io.Reader) (TarballInfo, error) {
	return inspectTarball(r, tarballLimits{unpacked: 5_000_000_000, entries: 500_000})
}

func inspectTarball(r io.Reader, limits tarballLimits) (TarballInfo, error) {
	src := &source{r: r}
	z := newGunzip(src, limits.unpacked)
	in := inspection{limits: limits}
	err := in.read(tar.NewReader(z))
	if err == nil {
		// Behind the archive's end there is nothing but gzip's checksum.
		_, err = io.Copy(io.Discard, z)
	}
	if err == nil {
		_, err = io.Copy(io.Discard, src)
	}
	var own *Error
	switch {
	case err == nil:
		return in.info, nil
	case src.failed != nil:
		err = fmt.Errorf("%s: %w", opInspectTarball, src.failed)
	case !errors.As(err, &own):
		err = &Error{Kind: Invalid, Op: opInspectTarball, Msg: "the tarball is no gzip'd tar archive, or it is damaged", Err: err}
	}
	return TarballInfo{}, err
}

const opInspectTarball = "npm.InspectTarball"

func badTarball(format string, args ...any) error { return invalidf(opInspectTarball, format, args...) }

// inspection gathers what is known of a tarball while it is read.
type inspection struct {
	limits    tarballLimits
	info      TarballInfo
	manifests int // how many package.json there were
}

// read reads the archive up to its end marker.
func (in *inspection) read(archive *tar.Reader) error {
	for entries := 0; ; entries++ {
		h, err := archive.Next()
		switch {
		case err == io.EOF && in.manifests == 0:
			return badTarball("the tarball has no package.json")
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case entries == in.limits.entries:
			return badTarball("the tarball has more than %d entries", entries)
		}
		if err := in.entry(h, archive); err != nil {
			return err
		}
	}
}

func (in *inspection) entry(h *tar.Header, content io.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil // of git archive; it describes, and is nothing
	}
	if climbs(h.Name) {
		return badTarball(`the tarball has a path with "..": %.80q`, h.Name)
	}
	if isSparse(h) {
		return badTarball("the tarball has a sparse file, which npm cannot unpack: %.80q", h.Name)
	}
	regular := h.Typeflag == tar.TypeReg || h.Typeflag == tar.TypeCont
	if regular {
		in.info.Files++
		in.info.Unpacked += h.Size
	}
	// As node-tar has it, so that "package//package.json" and "x/./package.json"
	// are no hiding places.
	_, rest, _ := strings.Cut(h.Name, "/")
	switch under(rest) {
	case "package.json":
		if !regular {
			return badTarball("the package.json of the tarball is not a regular file")
		}
		return in.packageJSON(h.Size, content)
	case "npm-shrinkwrap.json":
		in.info.HasShrinkwrap = in.info.HasShrinkwrap || regular
	case "binding.gyp":
		in.info.HasGyp = in.info.HasGyp || regular
	}
	return nil
}

// packageJSON reads a package.json. Of several npm unpacks the last over the
// others and pnpm may do otherwise, so they must agree.
func (in *inspection) packageJSON(size int64, content io.Reader) error {
	if in.manifests == maxManifests {
		return badTarball("the tarball has more than %d package.json", maxManifests)
	}
	if size > maxPackageJSON {
		return badTarball("the package.json of the tarball is larger than %d bytes", maxPackageJSON)
	}
	raw, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	// npm reads over a byte order mark, which editors on Windows leave.
	o, err := ParseObject(bytes.TrimPrefix(raw, []byte("\ufeff")))
	if err != nil {
		return badTarball("the package.json of the tarball is not a JSON object")
	}
	name, version := o.String("name"), o.String("version")
	if in.manifests++; in.manifests > 1 && (name != in.info.Name || version != in.info.Version) {
		return badTarball("the tarball has several package.json that disagree")
	}
	in.info.Name, in.info.Version = name, version
	private, ok := o.Get("private")
	in.info.Private = ok && isTruthy(private)
	return nil
}

// climbs reports whether a path has an element "..", on whichever system.
func climbs(name string) bool {
	for element := range strings.FieldsFuncSeq(name, func(r rune) bool { return r == '/' || r == '\\' }) {
		if element == ".." {
			return true
		}
	}
	return false
}

// isSparse reports whether an entry has holes: archive/tar fills them, and
// node-tar takes what is stored for the file.
func isSparse(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return h.Typeflag == tar.TypeGNUSparse
}

// source is a reader that remembers why it failed, which decompressors forget.
type source struct {
	r      io.Reader
	failed error // other than io.EOF
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.failed = err
	}
	return n, err
}
