package rig

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"larder/test/netguard"
)

// Main runs a package's tests with the network fenced in, removes the binaries
// that they had built, and exits.
func Main(m *testing.M) {
	netguard.Guard()
	code := m.Run()
	if err := removeBinaries(); err != nil && code == 0 {
		code = 1
	}
	os.Exit(code)
}

// Both binaries are built when they are first asked for, once per process.
var (
	tested = sync.OnceValues(func() (string, error) { return build(RaceDetector) })
	plain  = sync.OnceValues(func() (string, error) { return build(false) })
)

var built struct {
	mu   sync.Mutex // guards dirs
	dirs []string   // one for each binary
}

// Tested is the path of a larder under the same race detector as the test.
func Tested(t testing.TB) string { return must(t, tested) }

// Plain is the path of a larder without the race detector, which multiplies
// memory and time.
func Plain(t testing.TB) string {
	if !RaceDetector {
		return Tested(t)
	}
	return must(t, plain)
}

func must(t testing.TB, binary func() (string, error)) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// hashing is the package that takes the time of bcrypt: 60 ms for a password,
// and ten times as much if the race detector looks at each access to its tables,
// which nobody else has. Hundreds of tests sign somebody in.
const hashing = "golang.org/x/crypto/blowfish"

func build(race bool) (string, error) {
	dir, err := os.MkdirTemp("", "larder-test")
	if err != nil {
		return "", err
	}
	built.mu.Lock()
	built.dirs = append(built.dirs, dir)
	built.mu.Unlock()
	path := filepath.Join(dir, "larder")
	args := []string{"build", "-o", path}
	cmd := exec.Command("go")
	if race {
		args = append(args, "-race", "-gcflags="+hashing+"=-race=false")
	} else {
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	}
	cmd.Args = append(cmd.Args, append(args, "larder/cmd/larder")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
}

func removeBinaries() error {
	built.mu.Lock()
	defer built.mu.Unlock()
	for _, dir := range built.dirs {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

// Root is the directory of the module, wherever in it a test runs.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = up
	}
}
