package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Verdaccio has the configuration that it makes itself at its first start, but
// for the upstream. It runs on the Node that was installed beside it.
type Verdaccio struct{ Dir string } // of the peers

// Name is the server's name in reports.
func (Verdaccio) Name() string { return "verdaccio" }

// Version reads what was installed.
func (v Verdaccio) Version(context.Context) (string, error) {
	version, err := installedVersion(v.Dir, "verdaccio", "verdaccio")
	if err != nil {
		return "", err
	}
	node, err := installedVersion(v.Dir, "verdaccio", "node")
	return version + " on Node " + node, err
}

// Command writes the configuration.
func (v Verdaccio) Command(s Setup) (*exec.Cmd, error) {
	file := filepath.Join(s.Dir, "verdaccio.yaml")
	conf := fmt.Sprintf(`storage: %s
auth:
  htpasswd: {file: ./htpasswd}
uplinks:
  npmjs: {url: %s}
packages:
  '@*/*': {access: $all, publish: $authenticated, unpublish: $authenticated, proxy: npmjs}
  '**': {access: $all, publish: $authenticated, unpublish: $authenticated, proxy: npmjs}
server: {keepAliveTimeout: 60}
middlewares:
  audit: {enabled: true}
log: {type: stdout, format: pretty, level: http}
`, filepath.Join(s.Dir, "storage"), s.Upstream)
	if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
		return nil, err
	}
	modules := filepath.Join(v.Dir, "verdaccio", "node_modules")
	cmd := exec.Command(filepath.Join(modules, ".bin", "node"), filepath.Join(modules, "verdaccio", "bin", "verdaccio"),
		"--config", file, "--listen", fmt.Sprintf("127.0.0.1:%d", s.Port))
	cmd.Env = []string{"HOME=" + s.Dir, "PATH=" + os.Getenv("PATH")}
	cmd.Dir = s.Dir
	return cmd, nil
}

// Cache is the storage, which holds nothing but upstream's here.
func (Verdaccio) Cache(s Setup) string { return filepath.Join(s.Dir, "storage") }
