package registry

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"larder/test/netguard"
)

func TestMain(m *testing.M) {
	netguard.Guard()
	os.Exit(m.Run())
}

// start serves packages, and those of Graph if there are none.
func start(t *testing.T, cfg Config, packages ...Package) *Server {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if len(packages) == 0 {
		err = s.Load(Graph())
	} else {
		err = s.Add(packages...)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// response is an answer that was read to its end, or as far as it went.
type response struct {
	*http.Response
	body []byte
	err  error // of reading the body
}

// ask sends a GET below s's URL. Headers are "Name: value"; "HEAD" as the first
// of them changes the method. Nothing is followed, unpacked or added.
func ask(t *testing.T, s *Server, path string, headers ...string) response {
	t.Helper()
	resp, err := try(t, s, path, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func try(t *testing.T, s *Server, path string, headers ...string) (response, error) {
	t.Helper()
	method := http.MethodGet
	if len(headers) > 0 && headers[0] == http.MethodHead {
		method, headers = headers[0], headers[1:]
	}
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	tr := &http.Transport{DisableCompression: true, DisableKeepAlives: true}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return response{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return response{resp, body, err}, nil
}

const corgi = "Accept: application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*"
