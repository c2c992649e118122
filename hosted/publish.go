package hosted

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"larder/npm"
)

// repeatWindow is how long after a publish the same one may come again.
const repeatWindow = 10 * time.Minute

// Publish adds the version in u to its package, which it makes if need be.
// Who may do that, and whether upstream has the name, the caller has decided.
//
// Invalid: a rule of publishing is broken. Forbidden: the version is or was
// there. NoSpace: nothing was published. A publish that is repeated within ten
// minutes by the same user with the same bytes and tags succeeds and changes
// nothing: npm repeats a PUT whose answer got lost.
func (p *Packages) Publish(ctx context.Context, u *Upload, by Actor) (Change, error) {
	return p.write("Publish", "publish", u.name, func() (Change, error) {
		r, err := p.release(u, by)
		if err != nil {
			return Change{}, err
		}
		c, err := p.update(ctx, u.name, "", r.publish)
		if err == nil && !c.Repeated {
			p.metrics.HostedPublished(r.version.Tarball.Size)
		}
		return c, err
	})
}

// release is a version about to be published. What of it does not depend on
// the package's document is ready.
type release struct {
	*npm.Publication
	version  version // without Published and Manifest
	manifest npm.Object
	in       *incoming
}

// release checks an upload.
func (p *Packages) release(u *Upload, by Actor) (*release, error) {
	pub, err := npm.ParsePublish(u.Put, u.name)
	if err != nil {
		return nil, err
	}
	if u.tarball == nil {
		return nil, invalid("the package has no tarball")
	}
	if err := checkTarball(pub, u.tarball); err != nil {
		return nil, err
	}
	r := &release{Publication: pub, in: u.tarball, manifest: slices.Clone(pub.Manifest)}
	r.version = version{
		Version:    pub.Version,
		Publisher:  by,
		PutTags:    slices.Sorted(slices.Values(pub.Tags)),
		Deprecated: pub.Manifest.String("deprecated"),
		Tarball:    u.tarball.describe(),
	}
	if pub.Provenance != nil {
		r.version.Provenance = compact(pub.Provenance)
	}
	return r, p.finishManifest(r)
}

// checkTarball holds the bytes against what the client says of them. A
// package.json of another name or version would be installed under a name that
// nobody reviewed it by.
func checkTarball(pub *npm.Publication, in *incoming) error {
	info := in.info
	if !info.Describes(pub.Name, pub.Version) {
		return invalid("package.json in the tarball is of %.250s@%.250s, but %s@%s is being published",
			info.Name, info.Version, pub.Name, pub.Version)
	}
	if info.Private {
		return invalid(`%s is marked "private": true in its package.json, which forbids to publish it`, pub.Name)
	}
	if sum := in.describe().SHA1; pub.Shasum != "" && pub.Shasum != sum {
		return invalid("dist.shasum is %.100s, but the tarball that arrived has %s", pub.Shasum, sum)
	}
	return checkIntegrity(pub.Integrity, in)
}

// checkIntegrity holds the bytes against a claimed integrity, which may give
// several hashes to choose from.
func checkIntegrity(claimed npm.Integrity, in *incoming) error {
	if claimed.IsZero() {
		return nil
	}
	got := in.integrity()
	text := claimed.String()
	switch {
	case strings.HasPrefix(text, "sha1-"):
		got = sri("sha1", in.sha1.Sum(nil))
	case !strings.HasPrefix(text, "sha512-"):
		return invalid("dist.integrity must be a sha512, not %.100s", text)
	}
	if !slices.Contains(strings.Fields(text), got) {
		return invalid("dist.integrity is %.200s, but the tarball that arrived has %s", text, got)
	}
	return nil
}

// publish is the edit. The blob is made durable before the document that names
// it, but not before it is clear that there will be one: what is refused leaves
// nothing behind.
func (r *release) publish(d *draft) error {
	d.number = r.Version
	if d.used(r.Version) {
		if r.repeats(d) {
			d.repeat = true
			return errUnchanged
		}
		return &npm.Error{Kind: npm.Forbidden, Msg: fmt.Sprintf("You cannot publish over the previously published versions: %s.", r.Version)}
	}
	if d.rev == "" {
		if err := npm.CheckNewName(d.Name); err != nil {
			return err
		}
	}
	d.blob = func() error { return r.in.commit(r.version.Tarball.Key) }
	r.add(d)
	return nil
}

// repeats reports whether d has this very release already.
func (r *release) repeats(d *draft) bool {
	old := d.version(r.Version)
	return old != nil &&
		old.Publisher.Name == r.version.Publisher.Name &&
		old.Tarball.SHA512 == r.version.Tarball.SHA512 &&
		slices.Equal(old.PutTags, r.version.PutTags) &&
		d.now.Sub(old.Published.Time) <= repeatWindow
}

// add puts the release into the document.
func (r *release) add(d *draft) {
	first := len(d.Versions) == 0
	if first {
		// The one who publishes a name anew has nothing to do with who once had it.
		d.Maintainers = []Actor{r.version.Publisher}
		d.Unpublished = stamp{}
		d.Tags["latest"] = r.Version
	}
	for _, tag := range r.Tags {
		d.Tags[tag] = r.Version
	}
	if d.Tags["latest"] == r.Version {
		d.Readme = readme{r.Version, r.ReadmeFilename, r.Readme}
	}
	if r.Access != "" {
		d.Access = r.Access
	}
	v := r.version
	v.Published = d.now
	v.Manifest = r.manifestFor(d.Maintainers)
	d.Versions = append(d.Versions, &v)
}
