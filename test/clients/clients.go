// Package clients installs the package managers that Larder is tested with,
// each in a pinned version.
package clients

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/rogpeppe/go-internal/lockedfile"
)

// Client is one package manager in one version.
type Client struct {
	Name    string // as tests call it: "npm-11"
	Package string // on the npm registry
	Version string
}

// All returns the pinned clients. A version moves here and nowhere else.
func All() []Client {
	return []Client{
		{"npm-6", "npm", "6.14.18"},
		{"npm-8", "npm", "8.19.4"},
		{"npm-10", "npm", "10.9.9"},
		{"npm-11", "npm", "11.19.1"},
		{"npm-12", "npm", "12.2.0"},
		{"yarn-1", "yarn", "1.22.22"},
		{"yarn-4", "@yarnpkg/cli-dist", "4.18.1"},
		{"pnpm-9", "pnpm", "9.15.9"},
		{"pnpm-10", "pnpm", "10.34.9"},
		{"pnpm-12", "pnpm", "12.21.0"},
		{"bun-1", "bun", "1.4.5"},
		{"deno-2", "deno", "2.9.6"},
		{"corepack", "corepack", "0.36.0"},
		{"lerna-9", "lerna", "9.0.7"},
	}
}

// Find returns the client of a name.
func Find(name string) (Client, error) {
	for _, c := range All() {
		if c.Name == name {
			return c, nil
		}
	}
	return Client{}, fmt.Errorf("clients: no client is called %q", name)
}

// Install makes sure that c is installed below dir, which any number of
// processes may share, and returns the directory of its commands. Whatever npm
// is in PATH does it, with the machine's own configuration: that one knows how
// to reach a registry from here.
func (c Client) Install(ctx context.Context, dir string) (bin string, err error) {
	home := filepath.Join(dir, c.Name+"@"+c.Version)
	bin = filepath.Join(home, "node_modules", ".bin")
	if exists(home) {
		return bin, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	unlock, err := lockedfile.MutexAt(filepath.Join(dir, c.Name+".lock")).Lock()
	if err != nil {
		return "", err
	}
	defer unlock()
	if exists(home) { // another process was first
		return bin, nil
	}

	// The directory gets its name when all is in it: an interrupted
	// installation leaves nothing that looks complete.
	tmp, err := os.MkdirTemp(dir, c.Name+".tmp*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	if err := os.WriteFile(filepath.Join(tmp, "package.json"), []byte(`{"private":true}`), 0o644); err != nil {
		return "", err
	}
	npm := exec.CommandContext(ctx, "npm", "install", "--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts=false", "--loglevel=error", c.Package+"@"+c.Version)
	npm.Dir = tmp
	if out, err := npm.CombinedOutput(); err != nil {
		return "", fmt.Errorf("clients: npm install %s@%s: %w\n%s", c.Package, c.Version, err, out)
	}
	if !exists(filepath.Join(tmp, "node_modules", ".bin")) {
		return "", fmt.Errorf("clients: %s@%s has no commands", c.Package, c.Version)
	}
	return bin, os.Rename(tmp, home)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
