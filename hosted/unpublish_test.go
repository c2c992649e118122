package hosted

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/cache"
	"larder/npm"
)

// TestUnpublishOneVersion follows npm's steps 3 to 5.
func TestUnpublishOneVersion(t *testing.T) {
	stores(t, func(t *testing.T, s cache.Store) {
		c := newClock()
		p := newPackages(t, Config{Store: s, Now: c.Now})
		publishAll(t, p, "lib", "1.0.0", "1.1.0", "2.0.0-beta")
		setTag(t, p, "lib", "latest", "1.1.0")
		setTag(t, p, "lib", "old", "1.1.0")
		c.move(time.Hour)
		before := get(t, p, "lib")

		// npm's own choice of latest would be the beta.
		body := `{"name":"lib","dist-tags":{"latest":"2.0.0-beta"},"versions":{"1.0.0":{"name":"evil"},"2.0.0-beta":{},"9.0.0":{}}}`
		change, err := p.SetVersions(t.Context(), "lib", before.Rev(), object(t, body), alice)
		if err != nil {
			t.Fatal(err)
		}
		k := get(t, p, "lib")
		if change.Old != before.Rev() || change.New != k.Rev() || change.Version != "1.1.0" {
			t.Errorf("change is %+v", change)
		}
		if d := cmp.Diff(map[string]string{"latest": "1.0.0"}, k.DistTags()); d != "" {
			t.Error(d)
		}
		if got := versionsText(k); got != "[1.0.0 2.0.0-beta]" {
			t.Errorf("versions are %s", got)
		}
		doc := packument(t, p, "lib")
		if got := at(doc, "versions", "1.0.0", "name"); got != "lib" {
			t.Errorf("the body's edits were taken: %v", got)
		}
		if got := doc["readme"]; got != "# 2.0.0-beta" {
			t.Errorf("readme is %v", got)
		}
		if at(doc, "time", "1.1.0") == nil || at(doc, "time", "unpublished") != nil {
			t.Errorf("time is %v", doc["time"])
		}
		_, err = p.Tarball(t.Context(), "lib", "lib-1.1.0.tgz")
		wantOursButMissing(t, err)

		// Step 5, twice, and with a revision that somebody else has moved on.
		setTag(t, p, "lib", "new", "1.0.0")
		for range 2 {
			change, err = p.DeleteTarball(t.Context(), "lib", "lib-1.1.0.tgz", k.Rev(), alice)
			if err != nil || change.Old != change.New || change.Version != "1.1.0" {
				t.Errorf("change is %+v, %v", change, err)
			}
		}
		if n := blobs(t, s, "lib"); n != 2 {
			t.Errorf("%d blobs are left, want 2", n)
		}
		wantWhole(t, p, "lib")
	})
}

func setTag(t testing.TB, p *Packages, name, tag, version string) {
	t.Helper()
	if _, err := p.SetTag(t.Context(), name, tag, version, alice); err != nil {
		t.Fatal(err)
	}
}

// TestRepeatedSetVersions: npm repeats a PUT whose answer got lost, and goes on
// to delete the tarball only after a good one. A revision that is out of date
// does not matter where nothing is left to be done.
func TestRepeatedSetVersions(t *testing.T) {
	p := newPackages(t, Config{})
	publishAll(t, p, "lib", "1.0.0", "1.1.0", "2.0.0")
	setTag(t, p, "lib", "old", "1.0.0")
	rev := get(t, p, "lib").Rev()
	without := func(rev, versions, tags string) (Change, error) {
		return p.SetVersions(t.Context(), "lib", rev, object(t, `{"versions":`+versions+`,"dist-tags":`+tags+`}`), alice)
	}
	const stay, tags = `{"1.0.0":{},"1.1.0":{}}`, `{"latest":"1.1.0","old":"1.0.0"}`
	first, err := without(rev, stay, tags)
	if err != nil {
		t.Fatal(err)
	}
	again, err := without(rev, stay, tags)
	if err != nil || again.Old != first.New || again.New != first.New {
		t.Errorf("again: %+v, %v; first %+v", again, err, first)
	}
	_, err = without(rev, `{"1.0.0":{}}`, tags)
	wantError(t, err, npm.Conflict, "Document update conflict.")
	_, err = without(rev, stay, `{"latest":"1.1.0","old":"1.1.0"}`)
	wantError(t, err, npm.Conflict, "Document update conflict.")
	publishAll(t, p, "lib", "3.0.0") // which the body does not know
	_, err = without(rev, stay, tags)
	wantError(t, err, npm.Conflict, "Document update conflict.")
	if got := versionsText(get(t, p, "lib")); got != "[1.0.0 1.1.0 3.0.0]" {
		t.Errorf("versions are %s", got)
	}
}

func TestDeleteTarballOfAListedVersion(t *testing.T) {
	s := cache.NewMem()
	p := newPackages(t, Config{Store: s})
	publishAll(t, p, "lib", "1.0.0", "2.0.0")
	_, err := p.DeleteTarball(t.Context(), "lib", "lib-2.0.0.tgz", "1-stale", alice)
	wantError(t, err, npm.Conflict, "Document update conflict.")
	if _, err := p.DeleteTarball(t.Context(), "lib", "lib-2.0.0.tgz", get(t, p, "lib").Rev(), alice); err != nil {
		t.Fatal(err)
	}
	if got := versionsText(get(t, p, "lib")); got != "[1.0.0]" || blobs(t, s, "lib") != 1 {
		t.Errorf("versions are %s, %d blobs", got, blobs(t, s, "lib"))
	}
	for _, file := range []string{"lib-3.0.0.tgz", "nonsense", ""} {
		_, err := p.DeleteTarball(t.Context(), "lib", file, "", alice)
		wantOursButMissing(t, err)
	}
	if _, err := p.DeleteTarball(t.Context(), "lib", "lib-1.0.0.tgz", "", alice); err != nil {
		t.Fatal(err)
	}
	if k := get(t, p, "lib"); !k.Unpublished() || blobs(t, s, "lib") != 0 {
		t.Errorf("unpublished is %v, %d blobs", k.Unpublished(), blobs(t, s, "lib"))
	}
}

func TestUnpublishAll(t *testing.T) {
	ways := map[string]func(ctx context.Context, p *Packages, rev string) error{
		"Unpublish": func(ctx context.Context, p *Packages, rev string) error {
			_, err := p.Unpublish(ctx, "lib", rev, alice)
			return err
		},
		"SetVersions": func(ctx context.Context, p *Packages, rev string) error {
			_, err := p.SetVersions(ctx, "lib", rev, npm.Object{{Key: "versions", Value: []byte("{}")}}, alice)
			return err
		},
	}
	for name, unpublish := range ways {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			s := cache.NewMem()
			p := newPackages(t, Config{Store: s, Now: c.Now})
			publishAll(t, p, "lib", "1.0.0", "2.0.0")
			wantError(t, unpublish(t.Context(), p, "7-stale"), npm.Conflict, "Document update conflict.")
			c.move(time.Hour)
			if err := unpublish(t.Context(), p, get(t, p, "lib").Rev()); err != nil {
				t.Fatal(err)
			}
			k := get(t, p, "lib")
			if !k.Unpublished() || len(k.DistTags()) != 0 || len(k.Versions()) != 0 {
				t.Errorf("%v %v %v", k.Unpublished(), k.DistTags(), k.Versions())
			}
			if n := blobs(t, s, "lib"); n != 0 {
				t.Errorf("%d blobs are left", n)
			}
			want := map[string]any{"name": "lib", "time": "2026-03-01T13:00:00.123Z", "versions": []any{"1.0.0", "2.0.0"}}
			if d := cmp.Diff(want, at(packument(t, p, "lib"), "time", "unpublished")); d != "" {
				t.Error(d)
			}
			wantEveryWriteRefused(t, p, "lib", wantOursButMissing)

			// The name can be published to again, but for the numbers.
			_, err := send(t.Context(), t, p, pkg{name: "lib", version: "1.0.0"}, alice)
			wantError(t, err, npm.Forbidden, "You cannot publish over the previously published versions: 1.0.0.")
			if _, err := send(t.Context(), t, p, pkg{name: "lib", version: "3.0.0", tags: []string{"next"}}, bob); err != nil {
				t.Fatal(err)
			}
			k = get(t, p, "lib")
			if k.Unpublished() || k.DistTags()["latest"] != "3.0.0" || k.Maintainers()[0] != bob {
				t.Errorf("%v %v %v", k.Unpublished(), k.DistTags(), k.Maintainers())
			}
			if at(packument(t, p, "lib"), "time", "unpublished") != nil {
				t.Error("it still says that it is unpublished")
			}
		})
	}
}

// wantEveryWriteRefused tries every write that needs a package with versions.
func wantEveryWriteRefused(t *testing.T, p *Packages, name string, check func(testing.TB, error)) {
	t.Helper()
	ctx := t.Context()
	versions := npm.Object{{Key: "versions", Value: []byte(`{"1.0.0":{"deprecated":"x"}}`)}}
	owners := npm.Object{{Key: "maintainers", Value: []byte(`[{"name":"bob"}]`)}}
	for op, write := range map[string]func() (Change, error){
		"Deprecate":   func() (Change, error) { return p.Deprecate(ctx, name, versions, alice) },
		"SetVersions": func() (Change, error) { return p.SetVersions(ctx, name, "", versions, alice) },
		"Unpublish":   func() (Change, error) { return p.Unpublish(ctx, name, "", alice) },
		"SetOwners":   func() (Change, error) { return p.SetOwners(ctx, name, "", owners, alice) },
		"SetStar":     func() (Change, error) { return p.SetStar(ctx, name, "bob", true) },
		"SetTag":      func() (Change, error) { return p.SetTag(ctx, name, "next", "1.0.0", alice) },
		"SetTags": func() (Change, error) {
			return p.SetTags(ctx, name, map[string]string{"next": "1.0.0"}, alice)
		},
		"DeleteTag": func() (Change, error) { return p.DeleteTag(ctx, name, "next", alice) },
		"SetAccess": func() (Change, error) { return p.SetAccess(ctx, name, "public", alice) },
	} {
		t.Run(op, func(t *testing.T) {
			_, err := write()
			check(t, err)
			if err == nil || !strings.Contains(err.Error(), "hosted."+op) {
				t.Errorf("%v does not name its operation", err)
			}
		})
	}
}

func TestWritesToWhatIsNotOurs(t *testing.T) {
	s := cache.NewMem()
	p := newPackages(t, Config{Store: s})
	wantEveryWriteRefused(t, p, "lib", wantNotOurs)
	_, err := p.DeleteTarball(t.Context(), "lib", "lib-1.0.0.tgz", "", alice)
	wantNotOurs(t, err)
	_, err = p.Forget(t.Context(), "lib")
	wantNotOurs(t, err)
	if left := keys(t, s, "lib"); len(left) > 0 {
		t.Errorf("the store holds %v", left)
	}
}

func TestForget(t *testing.T) {
	stores(t, func(t *testing.T, s cache.Store) {
		p := newPackages(t, Config{Store: s})
		publishAll(t, p, "lib", "1.0.0", "2.0.0")
		_, err := p.Forget(t.Context(), "lib")
		wantError(t, err, npm.Conflict, "lib still has versions")

		// The tarball of 1.0.0 is left over: step 5 never came.
		if _, err := p.SetVersions(t.Context(), "lib", "", object(t, `{"versions":{"2.0.0":{}}}`), alice); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Unpublish(t.Context(), "lib", "", alice); err != nil {
			t.Fatal(err)
		}
		rev := get(t, p, "lib").Rev()
		change, err := p.Forget(t.Context(), "lib")
		if err != nil || change != (Change{Old: rev}) {
			t.Errorf("change is %+v, %v", change, err)
		}
		_, err = p.Get(t.Context(), "lib")
		wantNotOurs(t, err)
		if left := keys(t, s, "lib"); len(left) > 0 {
			t.Errorf("the store holds %v", left)
		}
		publishAll(t, p, "lib", "1.0.0")
		wantWhole(t, p, "lib")
	})
}

func TestSetVersionsTakesTags(t *testing.T) {
	tests := []struct {
		name, body string
		want       map[string]string
	}{
		{"tag moved", `{"dist-tags":{"latest":"1.0.0","next":"1.0.0"},"versions":{"1.0.0":{},"2.0.0":{},"3.0.0-a":{}}}`,
			map[string]string{"latest": "1.0.0", "next": "1.0.0"}},
		{"tag of a removed version", `{"versions":{"1.0.0":{},"2.0.0":{}}}`, map[string]string{"latest": "2.0.0"}},
		{"tag to an unknown version", `{"dist-tags":{"next":"9.0.0"},"versions":{"1.0.0":{},"2.0.0":{},"3.0.0-a":{}}}`,
			map[string]string{"latest": "2.0.0", "next": "3.0.0-a"}},
		{"latest falls to the highest stable version", `{"dist-tags":{"latest":"3.0.0-a"},"versions":{"1.0.0":{},"3.0.0-a":{}}}`,
			map[string]string{"latest": "1.0.0", "next": "3.0.0-a"}},
		{"latest falls to a pre-release", `{"versions":{"3.0.0-a":{}}}`, map[string]string{"latest": "3.0.0-a", "next": "3.0.0-a"}},
		{"tags that are none", `{"dist-tags":{"1.x":"1.0.0","":"1.0.0","next":7},"versions":{"1.0.0":{},"2.0.0":{},"3.0.0-a":{}}}`,
			map[string]string{"latest": "2.0.0", "next": "3.0.0-a"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPackages(t, Config{})
			publish(t, p, pkg{name: "lib", version: "1.0.0"})
			publish(t, p, pkg{name: "lib", version: "3.0.0-a", tags: []string{"next"}})
			publish(t, p, pkg{name: "lib", version: "2.0.0"})
			if _, err := p.SetVersions(t.Context(), "lib", "undefined", object(t, tt.body), alice); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, get(t, p, "lib").DistTags()); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestSetVersionsRefuses(t *testing.T) {
	p := newPackages(t, Config{})
	publishAll(t, p, "lib", "1.0.0")
	for _, body := range []string{`{}`, `{"versions":null}`, `{"versions":[]}`, `{"versions":{"1.0.0":{}},"dist-tags":[]}`} {
		_, err := p.SetVersions(t.Context(), "lib", "", object(t, body), alice)
		wantError(t, err, npm.Invalid, "is not an object")
	}
	change, err := p.SetVersions(t.Context(), "lib", "", object(t, `{"versions":{"1.0.0":{}}}`), alice)
	if err != nil || change.Old != change.New {
		t.Errorf("nothing to do: %+v, %v", change, err)
	}
}

// A README may be the reason for an unpublish.
func TestReadmeGoesWithItsVersion(t *testing.T) {
	p := newPackages(t, Config{})
	publishAll(t, p, "lib", "1.0.0", "2.0.0")
	setTag(t, p, "lib", "latest", "1.0.0")
	if _, err := p.SetVersions(t.Context(), "lib", "", object(t, `{"versions":{"1.0.0":{}}}`), alice); err != nil {
		t.Fatal(err)
	}
	if got := packument(t, p, "lib")["readme"]; got != "" {
		t.Errorf("readme is %q", got)
	}
}

// What cannot be deleted is logged, and does not undo the unpublish.
func TestBlobThatStays(t *testing.T) {
	s := newBrittle(cache.NewMem())
	p := newPackages(t, Config{Store: s})
	publishAll(t, p, "lib", "1.0.0")
	s.breaks(func(op, _ string) error {
		if op == "delete" {
			return errBroken
		}
		return nil
	})
	if _, err := p.Unpublish(t.Context(), "lib", "", alice); err != nil {
		t.Fatal(err)
	}
	if n := blobs(t, s, "lib"); n != 1 {
		t.Errorf("%d blobs", n)
	}
	_, err := p.Tarball(t.Context(), "lib", "lib-1.0.0.tgz")
	wantOursButMissing(t, err)

	s.breaks(nil)
	if _, err := p.DeleteTarball(t.Context(), "lib", "lib-1.0.0.tgz", "", alice); err != nil {
		t.Error(err)
	}
	if n := blobs(t, s, "lib"); n != 0 {
		t.Errorf("%d blobs are left", n)
	}
}

func TestCompareForLatest(t *testing.T) {
	order := []string{"2.0.0-alpha", "2.0.0-beta", "3.0.0-alpha.2", "3.0.0-alpha.10", "0.9.0", "1.2.3", "1.10.0"}
	for i, a := range order {
		for j, b := range order {
			got := compareForLatest(a, b)
			if (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("%s to %s: %d", a, b, got)
			}
		}
	}
}
