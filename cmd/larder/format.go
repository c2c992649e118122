package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"larder/cache"
)

// The layouts that this release writes, of the directories that are the only
// copy of what they hold. A release that changes one raises its number and
// migrates what it writes.
const (
	hostedFormat = 1
	authFormat   = 1
)

const (
	formatFile     = "format" // stands in the directory and says who wrote it
	maxFormatBytes = 4 << 10
)

// format is what formatFile holds.
type format struct {
	Format int    `json:"format"`
	Larder string `json:"larder"` // the release that wrote it
}

// openFormat makes dir, with permissions perm, if it is missing, and makes sure
// that this release, info, whose own layout is number, can work on it. foreign
// are files that somebody may have put there before the first start.
func openFormat(dir string, number int, perm fs.FileMode, info build, foreign ...string) error {
	if err := os.MkdirAll(dir, perm); err != nil {
		return err
	}
	path := filepath.Join(dir, formatFile)
	text, err := readBounded(path, maxFormatBytes)
	if errors.Is(err, fs.ErrNotExist) {
		if err := mustBeNew(dir, foreign); err != nil {
			return err
		}
		return writeFormat(path, format{Format: number, Larder: info.version})
	}
	if err != nil {
		return err
	}
	var found format
	if err := json.Unmarshal(text, &found); err != nil || found.Format < 1 {
		return fmt.Errorf("%s is damaged: it should be like {\"format\":%d,\"larder\":%q}; restore it from a backup", path, number, info.version)
	}
	if found.Format > number {
		return fmt.Errorf("%s was written by larder %s, which is newer than this one (%s): start that release, or a later one", dir, found.Larder, info.version)
	}
	return nil
}

// mustBeNew makes sure that a directory without a format file has lost none: it
// holds nothing but foreign files and what volumes and an interrupted start
// leave.
func mustBeNew(dir string, foreign []string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := entry.Name()
		if name != "lost+found" && !strings.HasPrefix(name, ".") && !slices.Contains(foreign, name) {
			return fmt.Errorf("%s holds %s but no file %q, which says what release wrote it: restore all of the directory from a backup", dir, name, formatFile)
		}
	}
	return nil
}

// writeFormat writes a format file that survives a power cut, together with
// the names of its directory. Two processes may do so at once.
func writeFormat(path string, f format) error {
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	temp, err := os.CreateTemp(dir, "."+formatFile+"-")
	if err != nil {
		return err
	}
	_, err = temp.Write(append(text, '\n'))
	err = errors.Join(err, temp.Chmod(0o640), temp.Sync(), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return errors.Join(cache.SyncDir(dir), cache.SyncDir(filepath.Dir(dir)))
}
