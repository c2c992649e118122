package test

import (
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"

	"larder/test/registry"
	"larder/test/rig"
)

const (
	// documentsRSS bounds the memory while 16 clients fetch the largest documents
	// that there are, cold; fewDocumentsRSS while three do.
	documentsRSS    = 600 << 20
	fewDocumentsRSS = 150 << 20
	// smallLimit and smallRSS are what Go's runtime and the kernel give Larder in
	// a container of 256 MB.
	smallLimit = "205MiB"
	smallRSS   = 256_000_000
	// installRSS bounds it over the install of a large application.
	installRSS = 150 << 20

	installPackages     = 500
	longInstallPackages = 1300
	installConnections  = 15 // npm's
)

// TestMemoryOfBigDocuments has clients fetch cold packuments at the same time,
// each another one, of the sizes that the largest real ones have.
func TestMemoryOfBigDocuments(t *testing.T) {
	if testing.Short() {
		t.Skip("it makes documents of hundreds of megabytes")
	}
	sizes, limit := []int{10, 10, 10}, int64(fewDocumentsRSS) // MB, bytes
	if rig.Long {
		limit = documentsRSS
		sizes = []int{20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40, 42, 44, 46, 48, 50}
	}
	r := rig.New(t, rig.Config{Binary: rig.Plain(t)})
	for i, size := range sizes {
		name := fmt.Sprintf("big-%d", i)
		if err := r.Upstream.Big(name, 100, size<<20); err != nil {
			t.Fatal(err)
		}
		// It renders them now, or they would come one after the other.
		if got := len(r.Published(t, name, "Accept", rig.Full)); got < size*9/10<<20 {
			t.Fatalf("%s has %d bytes, want some %d MB", name, got, size)
		}
	}
	start := make(chan struct{})
	var clients sync.WaitGroup
	for i := range sizes {
		clients.Go(func() {
			<-start
			if err := discard(t, r, fmt.Sprintf("big-%d", i)); err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	clients.Wait()
	checkPeak(t, r.Larder, fmt.Sprintf("%d packuments of %d to %d MB at once", len(sizes), sizes[0], sizes[len(sizes)-1]), limit)
}

// TestMemoryOfASmallContainer has clients fetch the largest document that there
// is, and others beside it, where there is little memory.
func TestMemoryOfASmallContainer(t *testing.T) {
	if testing.Short() {
		t.Skip("it makes a document of fifty megabytes")
	}
	r := rig.New(t, rig.Config{Binary: rig.Plain(t), Settings: []string{"GOMEMLIMIT=" + smallLimit}})
	if !strings.Contains(r.Larder.Log(), "there is little memory") {
		t.Errorf("nothing is said of it:\n%s", r.Larder.Log())
	}
	sizes := []int{50, 10, 10}
	for i, size := range sizes {
		if err := r.Upstream.Big(fmt.Sprintf("big-%d", i), 100, size<<20); err != nil {
			t.Fatal(err)
		}
		r.Published(t, fmt.Sprintf("big-%d", i), "Accept", rig.Full) // rendered now
	}
	var clients sync.WaitGroup
	for i := range 2 * len(sizes) {
		clients.Go(func() {
			if err := discard(t, r, fmt.Sprintf("big-%d", i%len(sizes))); err != nil {
				t.Error(err)
			}
		})
	}
	clients.Wait()
	checkPeak(t, r.Larder, "packuments of 50, 10 and 10 MB where there is little memory", smallRSS)
}

// TestMemoryOfInstall fetches the packument and one tarball of as many packages
// as a large application has, over as many connections as npm uses: cold, and
// again for the memory that Larder gives to what is asked for often.
func TestMemoryOfInstall(t *testing.T) {
	if testing.Short() {
		t.Skip("it installs more than a thousand packages")
	}
	r := rig.New(t, rig.Config{Binary: rig.Plain(t)})
	packages := installPackages
	if rig.Long {
		packages = longInstallPackages
	}
	for i := range packages {
		publishDependency(t, r, i)
	}
	for range 2 {
		names := make(chan string)
		var clients sync.WaitGroup
		for range installConnections {
			clients.Go(func() {
				for name := range names {
					for _, path := range []string{name, name + "/-/" + name + "-1.0.0.tgz"} {
						if err := discard(t, r, path); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		for i := range packages {
			names <- dependency(i)
		}
		close(names)
		clients.Wait()
	}
	checkPeak(t, r.Larder, fmt.Sprintf("an install of %d packages", packages), installRSS)
}

func dependency(i int) string { return fmt.Sprintf("dep-%d", i) }

// publishDependency publishes the i-th package of an application. A few large
// documents and tarballs make up most of the bytes. At full length all
// documents have a readme that does not compress, which together is more than
// Larder keeps in memory.
func publishDependency(t *testing.T, r *rig.Rig, i int) {
	t.Helper()
	versions, size := 0, 0
	switch {
	case i == 7 || rig.Long && i%300 == 7:
		versions, size = 100, 8<<20
	case i%100 == 3:
		versions, size = 20, 200<<10
	}
	if versions > 0 {
		if err := r.Upstream.Big(dependency(i), versions, size); err != nil {
			t.Fatal(err)
		}
		return
	}
	p := registry.Package{Name: dependency(i), Version: "1.0.0", Filler: i % 20 << 9}
	if i%200 == 9 {
		p.Filler = 1 << 20
	}
	if rig.Long {
		readme := make([]byte, 64<<10)
		rand.NewChaCha8([32]byte{byte(i), byte(i >> 8)}).Read(readme)
		p.Files = map[string]string{"README.md": base64.StdEncoding.EncodeToString(readme)}
	}
	r.Add(t, p)
}

// discard gets a path as npm does, and keeps nothing of it.
func discard(t *testing.T, r *rig.Rig, path string) error {
	resp, err := r.Open(t.Context(), http.MethodGet, r.Base+path, "Accept", rig.Full, "Accept-Encoding", "gzip")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", path, resp.Status)
	}
	if n, err := io.Copy(io.Discard, resp.Body); err != nil || n == 0 {
		return fmt.Errorf("GET %s: %d bytes: %w", path, n, err)
	}
	return nil
}

// checkPeak fails t if Larder ever had more than limit bytes of memory
// resident.
func checkPeak(t *testing.T, l *rig.Larder, after string, limit int64) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells a process's peak memory")
	}
	peak, err := l.PeakMemory()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("peak memory after %s: %d MB", after, peak>>20)
	if peak > limit {
		t.Errorf("peak memory after %s: %d MB, want at most %d", after, peak>>20, limit>>20)
	}
}
