package hosted

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"larder/cache"
)

// BenchmarkPublish1MB publishes packages of 1 MB on a durable store, and after
// each writes and syncs the same bytes to a plain file, so that both have the
// same weather. "ratio" is what the one costs in terms of the other, median by
// median; it may be 4. "calm-ratio" is that of the fastest tenth of each, which
// is nearer to an idle machine, where what a publish computes weighs more.
//
// Nothing is deleted: a volume mounted with "discard" would still be at it
// while the plain file is written, and the ratio would look better than it is.
func BenchmarkPublish1MB(b *testing.B) {
	p := newPackages(b, Config{Store: openDir(b), Sign: func(string) (string, string, error) { return "k", "s", nil }})
	dir := b.TempDir()
	var publishing, writing []time.Duration
	b.SetBytes(1 << 20)
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		k := pkg{name: fmt.Sprintf("lib-%d", i), version: "1.0.0", files: noise(1 << 20)}
		body, tarball := k.body(b), k.tarball(b)
		b.StartTimer()
		start := time.Now()
		if _, err := sendBody(b.Context(), p, k.name, body, alice); err != nil {
			b.Fatal(err)
		}
		publishing = append(publishing, time.Since(start))
		b.StopTimer()
		start = time.Now()
		writeAndSync(b, filepath.Join(dir, fmt.Sprint(i)), tarball)
		writing = append(writing, time.Since(start))
		b.StartTimer()
	}
	ratio := func(percent int) float64 {
		return float64(percentile(publishing, percent)) / float64(percentile(writing, percent))
	}
	b.ReportMetric(ratio(50), "ratio")
	b.ReportMetric(ratio(10), "calm-ratio")
	b.ReportMetric(float64(percentile(writing, 50)), "writesync-ns")
}

func percentile(d []time.Duration, percent int) time.Duration {
	return slices.Sorted(slices.Values(d))[len(d)*percent/100]
}

// BenchmarkWriteSync1MB is the measure alone.
func BenchmarkWriteSync1MB(b *testing.B) {
	tarball := pkg{name: "lib", version: "1.0.0", files: noise(1 << 20)}.tarball(b)
	dir := b.TempDir()
	b.SetBytes(int64(len(tarball)))
	for i := 0; b.Loop(); i++ {
		writeAndSync(b, filepath.Join(dir, fmt.Sprint(i)), tarball)
	}
}

// writeAndSync writes a file so that it outlives a power cut.
func writeAndSync(b *testing.B, path string, data []byte) {
	b.Helper()
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := f.Write(data); err != nil {
		b.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		b.Fatal(err)
	}
	if err := d.Sync(); err != nil {
		b.Fatal(err)
	}
	if err := d.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkSearch searches among 10,000 packages.
func BenchmarkSearch(b *testing.B) {
	p := newPackages(b, Config{Store: stocked(b, 10_000)})
	if _, err := p.Search(b.Context(), Query{}); err != nil {
		b.Fatal(err)
	}
	for _, text := range []string{"", "lib", "lib-77 description", "keywords:k3 author:alice", "nothing at all"} {
		b.Run(text, func(b *testing.B) {
			for b.Loop() {
				if _, err := p.Search(b.Context(), Query{Text: text, Visible: func(string) bool { return true }}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkIndex reads 10,000 packages from a directory.
func BenchmarkIndex(b *testing.B) {
	s := stocked(b, 10_000)
	for b.Loop() {
		p := newPackages(b, Config{Store: s})
		if names, err := p.Names(b.Context()); err != nil || len(names) != 10_000 {
			b.Fatal(len(names), err)
		}
	}
}

// BenchmarkGet is what each request for a hosted name begins with.
func BenchmarkGet(b *testing.B) {
	p := newPackages(b, Config{Store: stocked(b, 1)})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Get(b.Context(), "lib-0"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPublishToBigPackage adds a version to a package that has 1,000.
func BenchmarkPublishToBigPackage(b *testing.B) {
	p := newPackages(b, Config{})
	for i := range 1000 {
		publish(b, p, pkg{name: "lib", version: fmt.Sprintf("1.0.%d", i), manifest: map[string]any{"big": strings.Repeat("x", 2000)}})
	}
	i := 0
	for b.Loop() {
		publish(b, p, pkg{name: "lib", version: fmt.Sprintf("2.0.%d", i)})
		i++
	}
}

// stocked returns a directory with n packages of a few versions each.
func stocked(b *testing.B, n int) cache.Store {
	b.Helper()
	d, err := cache.OpenDir(cache.DirConfig{Path: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { d.Close() })
	p := newPackages(b, Config{Store: d})
	for i := range n {
		name := fmt.Sprintf("lib-%d", i)
		doc := p.draft(name, nil)
		doc.Maintainers = []Actor{alice}
		doc.Tags["latest"] = "1.0.2"
		for v := range 3 {
			number := fmt.Sprintf("1.0.%d", v)
			manifest := fmt.Sprintf(`{"name":%q,"version":%q,"description":"a description of what number %d does","keywords":["k%d","lib"],"author":"alice","scripts":{%s}}`,
				name, number, i, i%10, `"test":"`+strings.Repeat("x", 1000)+`"`)
			doc.Versions = append(doc.Versions, &version{Version: number, Published: doc.now, Publisher: alice, Manifest: json.RawMessage(manifest)})
		}
		if _, err := p.commit(b.Context(), doc, nil); err != nil {
			b.Fatal(err)
		}
	}
	return d
}
