package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"text/template"
)

// Nginx is nginx's proxy_cache, tuned. It does not rewrite the tarballs' URLs
// in documents: what it serves is what upstream sent, byte for byte, so its
// clients would fetch tarballs from upstream.
type Nginx struct{}

//go:embed nginx.conf.tmpl
var nginxConf string

// Name is the server's name in reports.
func (Nginx) Name() string { return "nginx" }

// Version asks the binary.
func (Nginx) Version(ctx context.Context) (string, error) {
	path, err := nginxBinary()
	if err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, path, "-v").CombinedOutput()
	_, version, ok := strings.Cut(strings.TrimSpace(string(out)), "nginx/")
	if err != nil || !ok {
		return "", fmt.Errorf("%s -v says %q", path, out)
	}
	return version, nil
}

// nginxBinary looks in PATH, and where packages put it for root alone.
func nginxBinary() (string, error) {
	for _, name := range []string{"nginx", "/usr/sbin/nginx"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("not installed: run make bench-peers")
}

// Command writes nginx.conf.
func (n Nginx) Command(s Setup) (*exec.Cmd, error) {
	path, err := nginxBinary()
	if err != nil {
		return nil, err
	}
	upstream, err := url.Parse(s.Upstream)
	if err != nil {
		return nil, err
	}
	owner := "" // of the workers; only root may choose
	if os.Geteuid() == 0 {
		u, err := user.Current()
		if err != nil {
			return nil, err
		}
		owner = u.Username
	}
	var conf bytes.Buffer
	err = template.Must(template.New("").Parse(nginxConf)).Execute(&conf, map[string]any{
		"Dir": s.Dir, "Cache": n.Cache(s), "Port": s.Port, "Upstream": upstream.Host, "User": owner,
	})
	if err != nil {
		return nil, err
	}
	file := filepath.Join(s.Dir, "nginx.conf")
	if err := os.WriteFile(file, conf.Bytes(), 0o644); err != nil {
		return nil, err
	}
	return exec.Command(path, "-p", s.Dir, "-c", file), nil
}

// Cache is the proxy_cache_path.
func (Nginx) Cache(s Setup) string { return filepath.Join(s.Dir, "cache") }
