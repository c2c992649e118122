package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// peersDir is where they are, below the test directory.
const peersDir = ".peers"

// peer is a server that comes from the npm registry, pinned.
type peer struct{ name, manifest string }

// Verdaccio 6.10 wants Node 22; the override is for registries that lack the
// tag by which one of its dependencies names node-fetch.
var peers = []peer{
	{"pnpr", `{"private": true, "dependencies": {"@pnpm/pnpr": "0.1.0-alpha.8"}}`},
	{"verdaccio", `{"private": true, "dependencies": {"node": "22.23.3", "verdaccio": "6.10.4"}, "overrides": {"node-fetch": "2.7.0"}}`},
}

// installPeers makes sure that the peers are below dir, and that nginx and wrk
// are on the machine.
func installPeers(ctx context.Context, dir string, out io.Writer) error {
	for _, p := range peers {
		home := filepath.Join(dir, p.name)
		if err := os.MkdirAll(home, 0o755); err != nil {
			return err
		}
		file := filepath.Join(home, "package.json")
		if have, err := os.ReadFile(file); err == nil && string(have) == p.manifest && exists(filepath.Join(home, "node_modules", ".package-lock.json")) /* npm writes it last */ {
			continue
		}
		if err := os.WriteFile(file, []byte(p.manifest), 0o644); err != nil {
			return err
		}
		fmt.Fprintf(out, "installing %s\n", p.name)
		if err := runIn(ctx, home, out, "npm", "install", "--no-audit", "--no-fund", "--loglevel=error"); err != nil {
			return err
		}
	}
	var missing []string
	if _, err := nginxBinary(); err != nil {
		missing = append(missing, "nginx-light")
	}
	if _, err := exec.LookPath("wrk"); err != nil {
		missing = append(missing, "wrk")
	}
	if len(missing) == 0 {
		return nil
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("not installed, and only root may: apt-get install %v", missing)
	}
	return runIn(ctx, dir, out, "apt-get", append([]string{"install", "-y", "--no-install-recommends"}, missing...)...)
}

func runIn(ctx context.Context, dir string, out io.Writer, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", name, args[0], err)
	}
	return nil
}

// installedVersion is the version of a package below a peer's node_modules.
func installedVersion(dir, peer, pkg string) (string, error) {
	data, err := os.ReadFile(filepath.Join(dir, peer, "node_modules", pkg, "package.json"))
	if err != nil {
		return "", errors.New("not installed: run make bench-peers")
	}
	var manifest struct{ Version string }
	err = json.Unmarshal(data, &manifest)
	return manifest.Version, err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
