package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Pnpr is pnpm's registry server, with its default settings but for the
// upstream.
type Pnpr struct{ Dir string } // of the peers

// Name is the server's name in reports.
func (Pnpr) Name() string { return "pnpr" }

func (p Pnpr) binary() string { return filepath.Join(p.Dir, "pnpr", "node_modules", ".bin", "pnpr") }

// Version reads what was installed.
func (p Pnpr) Version(context.Context) (string, error) {
	return installedVersion(p.Dir, "pnpr", "@pnpm/pnpr")
}

// Command writes the configuration.
func (p Pnpr) Command(s Setup) (*exec.Cmd, error) {
	file := filepath.Join(s.Dir, "pnpr.yaml")
	conf := fmt.Sprintf(`storage: %s
auth:
  htpasswd: {file: ./htpasswd, max_users: -1}
registries:
  npmjs: {type: upstream, url: %q, public: true}
defaultRegistry: npmjs
log: {type: stdout, format: pretty, level: error}
`, filepath.Join(s.Dir, "storage"), s.Upstream)
	if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
		return nil, err
	}
	cmd := exec.Command(p.binary(), "-c", file, "--listen", fmt.Sprintf("127.0.0.1:%d", s.Port),
		"--public-url", strings.TrimSuffix(s.URL(), "/"))
	cmd.Env = []string{"HOME=" + s.Dir, "PATH=" + os.Getenv("PATH")}
	return cmd, nil
}

// Cache is the storage, which holds nothing but upstream's here.
func (Pnpr) Cache(s Setup) string { return filepath.Join(s.Dir, "storage") }
