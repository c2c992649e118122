package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/peterbourgon/diskv/v3"
)

// An object lies in objects/ab/cd/abcd…/FILE: two levels of fan-out keep every
// directory small (at a million packages, 15 owners in each), and one owner's
// files are one listing.

// toPath is diskv's transform of a key. Only keys that splitKey let through
// reach it.
func toPath(key string) *diskv.PathKey {
	owner, file, _ := strings.Cut(key, "/")
	return &diskv.PathKey{Path: ownerPath(owner), FileName: file}
}

// fromPath is the inverse of toPath.
func fromPath(p *diskv.PathKey) string {
	return p.Path[len(p.Path)-1] + "/" + p.FileName
}

func ownerPath(owner string) []string { return []string{owner[:2], owner[2:4], owner} }

// path returns the file of a key.
func (d *Dir) path(owner, file string) string {
	return filepath.Join(d.objects, owner[:2], owner[2:4], owner, file)
}

// Walk implements Store. Whatever in the directory is not an object's file is
// passed over.
func (d *Dir) Walk(ctx context.Context, prefix string, fn func(Info) error) error {
	owner, err := splitPrefix(prefix)
	switch {
	case err != nil:
		return err
	case owner != "":
		err = d.walkOwner(ctx, owner, fn)
	default:
		err = d.walkAll(ctx, fn)
	}
	if err != nil {
		return err
	}
	// A store that went meanwhile looked empty, or ended early.
	return d.count("walk", d.absent(nil))
}

func (d *Dir) walkAll(ctx context.Context, fn func(Info) error) error {
	for branch := range branches {
		if err := d.walkBranch(ctx, branchName(branch), fn); err != nil {
			return err
		}
	}
	return nil
}

// branches is the number of directories that objects/ can have.
const branches = 256

// branchName returns the name of a directory in objects/, "00" to "ff".
func branchName(n int) string { return fmt.Sprintf("%02x", n) }

// walkBranch calls fn for every object of the owners that begin with branch.
func (d *Dir) walkBranch(ctx context.Context, branch string, fn func(Info) error) error {
	return d.owners(ctx, branch, func(owner string) error { return d.walkOwner(ctx, owner, fn) })
}

// owners calls fn for every owner that begins with branch, in ascending order.
func (d *Dir) owners(ctx context.Context, branch string, fn func(owner string) error) error {
	twigs, err := d.list(filepath.Join(d.objects, branch))
	if err != nil {
		return err
	}
	for _, twig := range twigs {
		owners, err := d.list(filepath.Join(d.objects, branch, twig.Name()))
		if err != nil {
			return err
		}
		for _, owner := range owners {
			name := owner.Name()
			if !validOwner(name) || !strings.HasPrefix(name, branch+twig.Name()) {
				continue
			}
			if err := fn(name); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

func (d *Dir) walkOwner(ctx context.Context, owner string, fn func(Info) error) error {
	files, err := d.list(filepath.Join(append([]string{d.objects}, ownerPath(owner)...)...))
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !file.Type().IsRegular() || !validFile(file.Name()) {
			continue
		}
		fi, err := file.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted since it was listed
		}
		if err != nil {
			return d.count("walk", err)
		}
		if err := fn(fileInfo(owner+"/"+file.Name(), fi)); err != nil {
			return err
		}
	}
	return nil
}

// errNotDir says that what should be a directory is none.
const errNotDir = syscall.ENOTDIR

// list reads a directory. One that is missing, because it never was or has
// just become empty, is empty, and so is what is no directory at all.
func (d *Dir) list(dir string) ([]fs.DirEntry, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotDir) {
		return nil, nil
	}
	return entries, d.count("walk", err)
}

// erase removes a file, and the directories that become empty with it. It does not
// list them, as diskv's Erase does, which costs more the more versions a
// package has, and holds diskv's lock meanwhile; see publish.
func (d *Dir) erase(owner, file string) error {
	if err := os.Remove(d.path(owner, file)); err != nil {
		return err
	}
	parts := ownerPath(owner)
	for n := len(parts); n > 0; n-- {
		if syscall.Rmdir(filepath.Join(append([]string{d.objects}, parts[:n]...)...)) != nil {
			break // something is in it
		}
	}
	return nil
}
