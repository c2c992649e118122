package rig

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"larder/test/clients"
)

// Client is a real package manager with a project, and a HOME that holds
// nothing but its configuration and what it caches.
type Client struct {
	Manager
	Name string // of test/clients
	Dir  string // of the project

	place Place
	bin   string // where its commands are
	env   []string
}

// NewClient makes a client ready to use against r's Larder, in a project whose
// package.json is manifest. It installs the client into test/.clients if need
// be.
func (r *Rig) NewClient(t testing.TB, name, manifest string) *Client {
	t.Helper()
	work, err := os.MkdirTemp("", "larder-client")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := RemoveAll(work); err != nil {
			t.Error(err)
		}
	})
	c, err := MakeClient(t.Context(), ClientConfig{
		Name: name, Clients: ClientsDir(t), Work: work, Base: r.Base, Keys: r.Upstream.Keys(), Manifest: manifest,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ClientConfig says what client is wanted, and where.
type ClientConfig struct {
	Name     string // of test/clients
	Clients  string // the directory that clients are installed in, if need be
	Work     string // the client's own directory, which the caller removes
	Base     string // of the registry, with a slash at its end
	Keys     string // what upstream answers at /-/npm/v1/keys
	Manifest string // package.json of the project
}

// MakeClient makes a client ready to use.
func MakeClient(ctx context.Context, cfg ClientConfig) (*Client, error) {
	pinned, err := clients.Find(cfg.Name)
	if err != nil {
		return nil, err
	}
	bin, err := pinned.Install(ctx, cfg.Clients)
	if err != nil {
		return nil, err
	}
	family, err := ManagerOf(cfg.Name)
	if err != nil {
		return nil, err
	}
	c := &Client{Manager: family, Name: cfg.Name, Dir: filepath.Join(cfg.Work, "project"), bin: bin}
	c.place = Place{Home: filepath.Join(cfg.Work, "home"), Base: cfg.Base, Keys: cfg.Keys}
	c.env = append(CommonEnv(cfg.Work), "HOME="+c.place.Home, "TMPDIR="+cfg.Work,
		"PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	c.env = append(c.env, family.Env(c.place)...)
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(c.Dir, "package.json"), []byte(cfg.Manifest), 0o644); err != nil {
		return nil, err
	}
	return c, c.Forget()
}

// ClientsDir is where the pinned clients are installed.
func ClientsDir(t testing.TB) string { return filepath.Join(Root(t), "test", ".clients") }

// Forget makes the client's machine one that has never installed anything. The
// project keeps its lockfile.
func (c *Client) Forget() error {
	for _, dir := range []string{c.place.Home, filepath.Join(c.Dir, "node_modules")} {
		if err := RemoveAll(dir); err != nil {
			return err
		}
	}
	return c.place.Configure(c.Manager)
}

// Configure makes the HOME, with the client's configuration.
func (p Place) Configure(m Manager) error {
	if err := os.MkdirAll(p.Home, 0o755); err != nil {
		return err
	}
	name, content := m.Config(p.Base)
	return os.WriteFile(filepath.Join(p.Home, name), []byte(content), 0o644)
}

// Run runs a command of the client's, such as c.Install, in the project, and
// returns what it prints. The error has it too.
func (c *Client) Run(ctx context.Context, command ...string) (string, error) {
	path, err := exec.LookPath(filepath.Join(c.bin, command[0]))
	if err != nil {
		path = command[0] // not the client's own
	}
	cmd := exec.CommandContext(ctx, path, command[1:]...)
	cmd.Dir, cmd.Env = c.Dir, c.env
	cmd.WaitDelay = stopTimeout // for what a script has left running
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s: %v: %w\n%s", c.Name, command, err, Tail(string(out), 60))
	}
	return string(out), nil
}

// RemoveAll is os.RemoveAll for trees with read-only directories.
func RemoveAll(dir string) error {
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return os.Chmod(path, 0o755)
	})
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	return os.RemoveAll(dir)
}
