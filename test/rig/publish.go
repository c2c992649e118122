package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"larder/test/registry"
)

// Adduser makes an account in Larder and returns a token of it.
func (r *Rig) Adduser(t testing.TB, name string) (token string) {
	t.Helper()
	body := map[string]any{"_id": "org.couchdb.user:" + name, "name": name, "password": "a passphrase of " + name, "email": name + "@acme.example", "type": "user"}
	status, said, err := r.Put(t.Context(), "-/user/org.couchdb.user:"+name, "", body)
	var answer struct{ Token string }
	if err != nil || status != http.StatusCreated || json.Unmarshal(said, &answer) != nil || answer.Token == "" {
		t.Fatalf("adduser %s: %d %s, %v", name, status, said, err)
	}
	return answer.Token
}

// Publish publishes a package in Larder as npm does, and returns how Larder
// answered.
func (r *Rig) Publish(ctx context.Context, token string, p registry.Package) (status int, said []byte, err error) {
	tgz, integrity, shasum, err := registry.Pack(p)
	if err != nil {
		return 0, nil, err
	}
	version := map[string]any{}
	if p.Manifest != "" {
		if err := json.Unmarshal([]byte(p.Manifest), &version); err != nil {
			return 0, nil, err
		}
	}
	version["name"], version["version"], version["_id"] = p.Name, p.Version, p.Name+"@"+p.Version
	file := p.Name + "-" + p.Version + ".tgz"
	version["dist"] = map[string]any{"integrity": integrity, "shasum": shasum, "tarball": r.Base + p.Name + "/-/" + file}
	return r.Put(ctx, strings.Replace(p.Name, "/", "%2f", 1), token, map[string]any{
		"_id":          p.Name,
		"name":         p.Name,
		"dist-tags":    map[string]string{"latest": p.Version},
		"versions":     map[string]any{p.Version: version},
		"_attachments": map[string]any{file: map[string]any{"content_type": "application/octet-stream", "data": tgz, "length": len(tgz)}},
	})
}

// Put sends a JSON body to a path of Larder's, with a token unless that is "".
func (r *Rig) Put(ctx context.Context, path, token string, body any) (status int, said []byte, err error) {
	text, err := json.Marshal(body)
	if err != nil {
		return 0, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, r.Base+path, bytes.NewReader(text))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := r.Client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	if said, err = io.ReadAll(resp.Body); err != nil {
		return 0, nil, fmt.Errorf("PUT %s: %w", path, err)
	}
	return resp.StatusCode, said, nil
}
