package registry

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

//go:embed testdata/packages
var graph embed.FS

// Graph holds the packages of testdata/packages: some fifteen that depend on
// each other in all the ways that matter, with the oddities of real ones.
func Graph() fs.FS {
	sub, err := fs.Sub(graph, "testdata/packages")
	if err != nil {
		panic(err) // the path is a constant and valid
	}
	return sub
}

// Load publishes every NAME@VERSION.txtar below fsys, "@scope/NAME@VERSION.txtar"
// being a scoped one, in the order of their paths. An archive holds the files of
// the package; package.json must be among them. What the archive's
// registry.json says is the registry's part and does not go into the tarball:
//
//	{"time": "2019-01-01T00:00:00Z", "tags": ["next"], "deprecated": "use b",
//	 "file": "odd@1.0.0.tgz", "noHash": true, "onlySHA1": true, "provenance": true}
func (s *Server) Load(fsys fs.FS) error {
	return fs.WalkDir(fsys, ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(file) != ".txtar" {
			return err
		}
		data, err := fs.ReadFile(fsys, file)
		if err != nil {
			return err
		}
		p, err := parsePackage(strings.TrimSuffix(file, ".txtar"), txtar.Parse(data))
		if err != nil {
			return fmt.Errorf("registry: load %s: %w", file, err)
		}
		return s.Add(p)
	})
}

func parsePackage(spec string, archive *txtar.Archive) (Package, error) {
	name, version, ok := cutLast(spec, "@")
	if !ok || name == "" {
		return Package{}, fmt.Errorf("not NAME@VERSION.txtar")
	}
	p := Package{Name: name, Version: version, Files: map[string]string{}}
	for _, f := range archive.Files {
		switch f.Name {
		case "package.json":
			p.Manifest = strings.TrimSpace(string(f.Data))
		case "registry.json":
			var extra struct {
				Time                         time.Time
				Tags                         []string
				Deprecated, File             string
				NoHash, OnlySHA1, Provenance bool
			}
			if err := json.Unmarshal(f.Data, &extra); err != nil {
				return Package{}, err
			}
			p.Time, p.Tags, p.Deprecated, p.File = extra.Time, extra.Tags, extra.Deprecated, extra.File
			p.NoHash, p.OnlySHA1, p.Provenance = extra.NoHash, extra.OnlySHA1, extra.Provenance
		default:
			p.Files[f.Name] = string(f.Data)
		}
	}
	if p.Manifest == "" {
		return Package{}, fmt.Errorf("no package.json")
	}
	return p, nil
}
