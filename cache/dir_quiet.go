package cache

import (
	"context"
	"os"
	"strings"
)

// OpenQuiet implements QuietOpener.
func (d *Dir) OpenQuiet(_ context.Context, key string) (*Object, error) {
	owner, file, err := splitKey(key)
	if err != nil {
		return nil, err
	}
	f, done, err := openQuiet(d.path(owner, file))
	if err != nil {
		return nil, d.count("open", err)
	}
	fi, err := f.Stat()
	if err == nil && !fi.Mode().IsRegular() {
		err = &os.PathError{Op: "open", Path: f.Name(), Err: os.ErrNotExist}
	}
	if err != nil {
		f.Close() // it was only read
		return nil, d.count("open", err)
	}
	return &Object{Content: &quietFile{f, done}, Info: fileInfo(key, fi)}, nil
}

// quietFile is a file that is forgotten once read.
type quietFile struct {
	*os.File
	done func()
}

func (q *quietFile) Close() error {
	q.done()
	return q.File.Close()
}

// WalkFrom implements Ordered.
func (d *Dir) WalkFrom(ctx context.Context, after string, fn func(Info) error) error {
	owner, _, _ := strings.Cut(after, "/")
	err := d.walkFrom(ctx, owner, func(o Info) error {
		if o.Key <= after {
			return nil
		}
		return fn(o)
	})
	if err != nil {
		return err
	}
	return d.count("walk", d.absent(nil))
}

// walkFrom walks over the owners from the one called from on, in their order.
func (d *Dir) walkFrom(ctx context.Context, from string, fn func(Info) error) error {
	for branch := range branches {
		branch := branchName(branch)
		if branch < from[:min(2, len(from))] {
			continue
		}
		twigs, err := d.list(d.objects + "/" + branch)
		if err != nil {
			return err
		}
		for _, twig := range twigs {
			if branch+twig.Name() < from[:min(4, len(from))] {
				continue
			}
			owners, err := d.list(d.objects + "/" + branch + "/" + twig.Name())
			if err != nil {
				return err
			}
			for _, owner := range owners {
				name := owner.Name()
				if name < from || !validOwner(name) || !strings.HasPrefix(name, branch+twig.Name()) {
					continue
				}
				if err := d.walkOwner(ctx, name, fn); err != nil {
					return err
				}
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}
