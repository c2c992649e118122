package hosted

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"larder/npm"
)

// maxTags bounds the dist-tags of a package.
const maxTags = 10_000

// SetTag makes tag name version. NotFound: there is no such version. Invalid:
// see npm.CheckTag.
func (p *Packages) SetTag(ctx context.Context, name, tag, version string, by Actor) (Change, error) {
	return p.setTags(ctx, "SetTag", name, map[string]string{tag: version})
}

// SetTags is SetTag for several at once: all or none. Tags not named stay.
func (p *Packages) SetTags(ctx context.Context, name string, tags map[string]string, by Actor) (Change, error) {
	return p.setTags(ctx, "SetTags", name, tags)
}

func (p *Packages) setTags(ctx context.Context, op, name string, tags map[string]string) (Change, error) {
	return p.write(op, "tags", name, func() (Change, error) {
		return p.updateLive(ctx, name, "", func(d *draft) error {
			for _, tag := range slices.Sorted(maps.Keys(tags)) {
				if err := npm.CheckTag(tag); err != nil {
					return err
				}
				if d.version(tags[tag]) == nil {
					return notFound("version not found: %.300s", tags[tag])
				}
				d.number = tags[tag]
			}
			if !d.takeTags(tags) {
				return errUnchanged
			}
			return nil
		})
	})
}

// DeleteTag removes a tag. Invalid for latest; NotFound where there is no such tag.
func (p *Packages) DeleteTag(ctx context.Context, name, tag string, by Actor) (Change, error) {
	return p.write("DeleteTag", "tags", name, func() (Change, error) {
		return p.updateLive(ctx, name, "", func(d *draft) error {
			if tag == "latest" {
				return invalid("cannot delete the latest tag")
			}
			version, ok := d.Tags[tag]
			if !ok {
				return notFound("%s has no tag %.300s", name, tag)
			}
			d.number = version
			delete(d.Tags, tag)
			return nil
		})
	})
}

// takeTags sets those of tags that name a version and may be tags, and reports
// whether that changed anything.
func (d *draft) takeTags(tags map[string]string) (changed bool) {
	for tag, version := range tags {
		if d.Tags[tag] == version || d.version(version) == nil || npm.CheckTag(tag) != nil {
			continue
		}
		d.Tags[tag] = version
		changed = true
	}
	return changed
}

// dropTags removes the tags of removed versions. latest goes to the highest
// stable version, else to the highest pre-release.
func (d *document) dropTags(removed []string) {
	maps.DeleteFunc(d.Tags, func(_, version string) bool { return slices.Contains(removed, version) })
	if _, ok := d.Tags["latest"]; ok || len(d.Versions) == 0 {
		return
	}
	latest := slices.MaxFunc(d.Versions, func(a, b *version) int { return compareForLatest(a.Version, b.Version) })
	d.Tags["latest"] = latest.Version
}

// compareForLatest orders versions by how well they would do as latest.
func compareForLatest(a, b string) int {
	// What was published is a version.
	x, _ := npm.ParseVersion(a)
	y, _ := npm.ParseVersion(b)
	if xPre, yPre := len(x.Pre) > 0, len(y.Pre) > 0; xPre != yPre {
		if xPre {
			return -1
		}
		return 1
	}
	return x.Compare(y)
}

// tagsOf returns the "dist-tags" of a document that a client sent; there may be
// none. What is not a string is left out.
func tagsOf(doc npm.Object) (map[string]string, error) {
	tags := make(map[string]string)
	raw, ok := doc.Get("dist-tags")
	if !ok || string(raw) == "null" {
		return tags, nil
	}
	o, err := npm.ParseObject(raw)
	if err != nil {
		return nil, invalid(`"dist-tags" is not an object`)
	}
	for _, m := range o {
		var version string
		if json.Unmarshal(m.Value, &version) == nil {
			tags[m.Key] = version
		}
	}
	return tags, nil
}
