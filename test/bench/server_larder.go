package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// Larder is the product, with the settings of somebody who set none but the
// upstream.
type Larder struct{ Binary string }

// Name is the server's name in reports.
func (Larder) Name() string { return "larder" }

// Version asks the binary.
func (l Larder) Version(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, l.Binary, "version").Output()
	if err != nil || strings.Count(string(out), "\n") < 2 {
		return "", errors.New("not built: run make build")
	}
	lines := strings.Split(string(out), "\n") // "larder VERSION", "commit HASH", …
	const shortHash = len("commit ") + 12
	return strings.TrimPrefix(lines[0], "larder ") + ", " + lines[1][:min(shortHash, len(lines[1]))], nil
}

// Command serves with data below the instance's directory.
func (l Larder) Command(s Setup) (*exec.Cmd, error) {
	cmd := exec.Command(l.Binary, "serve", "--listen", fmt.Sprintf("127.0.0.1:%d", s.Port),
		"--data", filepath.Join(s.Dir, "data"), "--upstream", s.Upstream)
	cmd.Env = []string{"HOME=" + s.Dir}
	return cmd, nil
}

// Cache is the part of the data that is upstream's.
func (Larder) Cache(s Setup) string { return filepath.Join(s.Dir, "data", "cache") }
