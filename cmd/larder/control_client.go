package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"syscall"
)

// errNoServer: no server answers on the control socket.
var errNoServer = errors.New("no larder is running")

// controlClient gives orders to the server on a data directory.
type controlClient struct {
	data string
	http *http.Client
}

// newControlClient returns a client of the server on data, which need not run.
// The caller closes it.
func newControlClient(data string) *controlClient {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		address, release, err := socketAddress(controlPath(data))
		if err != nil {
			return nil, err
		}
		defer release()
		var d net.Dialer
		return d.DialContext(ctx, "unix", address)
	}
	return &controlClient{data: data, http: &http.Client{Transport: &http.Transport{DialContext: dial}, Timeout: controlTimeout}}
}

func (c *controlClient) Close() { c.http.CloseIdleConnections() }

// status asks what is in effect.
func (c *controlClient) status(ctx context.Context) (s statusReport, err error) {
	err = c.do(ctx, http.MethodGet, statusPath, nil, &s)
	return s, err
}

// switchOffline turns the asking of all upstreams off or on.
func (c *controlClient) switchOffline(ctx context.Context, order switchOrder) (s statusReport, err error) {
	err = c.do(ctx, http.MethodPut, offlinePath, order, &s)
	return s, err
}

// explainForget asks what forgetting a name would lead to; the error says why
// it cannot be forgotten.
func (c *controlClient) explainForget(ctx context.Context, name string) (string, error) {
	var report forgetReport
	err := c.do(ctx, http.MethodGet, forgetPath+"?name="+url.QueryEscape(name), nil, &report)
	return report.Explanation, err
}

func (c *controlClient) forget(ctx context.Context, order forgetOrder) error {
	return c.do(ctx, http.MethodPost, forgetPath, order, nil)
}

// do sends a request. Its error is errNoServer, the server's own sentence, or
// about the socket. order and result may be nil.
func (c *controlClient) do(ctx context.Context, method, path string, order, result any) error {
	var body io.Reader
	if order != nil {
		text, err := json.Marshal(order)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://larder.invalid"+path, body)
	if err != nil {
		return err
	}
	res, err := c.http.Do(req)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%w on the data directory %s", errNoServer, c.data)
	case err != nil:
		var failed *url.Error
		if errors.As(err, &failed) {
			err = failed.Err // the URL says nothing to anybody
		}
		return fmt.Errorf("the larder on %s cannot be reached: %w", c.data, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxControlBytes))
	if err != nil {
		return fmt.Errorf("the larder on %s broke off: %w", c.data, err)
	}
	if res.StatusCode != http.StatusOK {
		var failed errorReport
		if json.Unmarshal(text, &failed) != nil || failed.Error == "" {
			return fmt.Errorf("the larder on %s answered with status %d", c.data, res.StatusCode)
		}
		return errors.New(failed.Error)
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(text, result); err != nil {
		return fmt.Errorf("the larder on %s gave an answer that cannot be read: %w", c.data, err)
	}
	return nil
}
