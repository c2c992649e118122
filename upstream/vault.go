package upstream

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"larder/cache"
	"larder/npm"
)

// Vault puts the bytes of removed versions aside, and back; cache.Blobs is one.
// Labels lists what is there of an owner under a kind, by the names that Expect
// gave.
type Vault interface {
	Labels(ctx context.Context, owner, kind string) ([]string, error)
	Quarantine(ctx context.Context, key, why string) error
	Restore(ctx context.Context, key string) error
}

// cachedVersions returns the versions of a package whose tarballs are cached.
func (r *Registry) cachedVersions(ctx context.Context, name string) []string {
	var versions []string
	for _, file := range r.vaulted(ctx, name, "blob") {
		if version, ok := npm.VersionOfFile(name, file); ok {
			versions = append(versions, version)
		}
	}
	return versions
}

// vaulted returns the names of a package's tarballs of a kind: "blob" is served,
// cache.Gone is put aside.
func (r *Registry) vaulted(ctx context.Context, name, kind string) []string {
	if r.cfg.Vault == nil {
		return nil
	}
	labels, err := r.cfg.Vault.Labels(ctx, r.Owner(name), kind)
	if err != nil {
		r.log.Warn("a package's tarballs cannot be listed", "package", name, "error", err)
		return nil
	}
	var files []string
	for _, label := range labels {
		if file, ok := strings.CutPrefix(label, name+"/"); ok {
			files = append(files, file)
		}
	}
	return files
}

// putAside puts the tarballs of removed versions into quarantine, those that
// are pinned apart. Where that fails they stay, and are not served either.
func (r *Registry) putAside(ctx context.Context, name string, versions []string) {
	for _, version := range versions {
		if !r.pins[name][version] {
			r.move(ctx, name, npm.TarballFile(name, version), "put aside", r.quarantine)
		}
	}
}

// bringBack is the reverse of putAside.
func (r *Registry) bringBack(ctx context.Context, name string, versions []string) {
	for _, version := range versions {
		r.move(ctx, name, npm.TarballFile(name, version), "brought back", r.unquarantine)
	}
}

// putAllAside is putAside for all that is cached of a package.
func (r *Registry) putAllAside(ctx context.Context, name string) {
	for _, file := range r.vaulted(ctx, name, "blob") {
		if version, ok := npm.VersionOfFile(name, file); !ok || !r.pins[name][version] {
			r.move(ctx, name, file, "put aside", r.quarantine)
		}
	}
}

// bringAllBack is the reverse of putAllAside. What is removed all the same stays.
func (r *Registry) bringAllBack(ctx context.Context, name string) {
	for _, file := range r.vaulted(ctx, name, cache.Gone) {
		if r.Withheld(name, file) == nil {
			r.move(ctx, name, file, "brought back", r.unquarantine)
		}
	}
}

func (r *Registry) quarantine(ctx context.Context, key string) error {
	return r.cfg.Vault.Quarantine(ctx, key, cache.Gone)
}

func (r *Registry) unquarantine(ctx context.Context, key string) error {
	return r.cfg.Vault.Restore(ctx, key)
}

// move moves one tarball into quarantine or out of it, if it is there.
func (r *Registry) move(ctx context.Context, name, file, how string, do func(ctx context.Context, key string) error) {
	if r.cfg.Vault == nil {
		return
	}
	err := do(context.WithoutCancel(ctx), r.BlobKey(name, file))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		r.log.Warn("a tarball could not be "+how, "package", name, "file", file, "error", err)
	default:
		r.log.Info("a tarball was "+how, "package", name, "file", file)
	}
}

// Pinned reports whether a tarball must be had although upstream may have
// removed it: then it may lie in quarantine.
func (r *Registry) Pinned(name, file string) bool {
	pins := r.pins[name]
	if len(pins) == 0 {
		return false
	}
	version, ok := npm.VersionOfFile(name, file)
	return ok && pins[version]
}
