package test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"larder/test/clients"
	"larder/test/registry"
	"larder/test/rig"
)

// session is what one script drives: an upstream, a Larder before it, and a
// client before that.
type session struct {
	binary   string // larder
	prefix   string // of Larder's public URL: "/" or "/npm/"
	home     string // the client's HOME
	upstream *registry.Server
	larder   *rig.Larder
	port     int    // of larder, the same after each start: lockfiles name it
	logs     string // of the servers that have ended
	lastLog  string // of the one that ended last
	manager  rig.Manager
	token    string // that the client was last given
}

type sessionKey struct{}

func sessionOf(ts *testscript.TestScript) *session { return ts.Value(sessionKey{}).(*session) }

// setup prepares a script's directory: HOME is empty, and app is the project of
// testdata/app, where the script begins.
func setup(binary, client, prefix string) func(*testscript.Env) error {
	return func(env *testscript.Env) error {
		s := &session{binary: binary, prefix: prefix, home: filepath.Join(env.WorkDir, "home")}
		env.Values[sessionKey{}] = s
		env.Defer(func() { s.close(env.T()) })
		env.Vars = append(env.Vars, "HOME="+s.home, "CLIENT="+client)
		env.Vars = append(env.Vars, rig.CommonEnv(env.WorkDir)...)
		env.Cd = filepath.Join(env.WorkDir, "app")
		if err := os.MkdirAll(s.home, 0o755); err != nil {
			return err
		}
		return os.CopyFS(env.Cd, os.DirFS("testdata/app"))
	}
}

// close ends what still runs. The log shows where a script failed, or at -v.
func (s *session) close(t testscript.T) {
	if s.larder != nil {
		s.larder.Kill()
		s.logs += s.larder.Log()
	}
	if s.logs != "" {
		t.Log("larder's log:\n" + rig.Tail(s.logs, 100))
	}
	if s.upstream != nil {
		s.upstream.Close()
	}
}

// base is the URL that clients are given.
func (s *session) base() string { return fmt.Sprintf("http://127.0.0.1:%d%s", s.port, s.prefix) }

func (s *session) place() rig.Place {
	return rig.Place{Home: s.home, Base: s.base(), Keys: s.upstream.Keys()}
}

func (s *session) startRegistry() error {
	if s.upstream != nil {
		return s.upstream.Start()
	}
	up, err := registry.New(registry.Config{})
	if err != nil {
		return err
	}
	s.upstream = up
	return up.Load(registry.Graph())
}

func (s *session) startLarder(work string, extra []string) error {
	if s.larder != nil {
		return errors.New("larder runs already")
	}
	if s.upstream == nil {
		return errors.New("start the registry first")
	}
	var failure error
	for range rig.Tries {
		fresh := s.port == 0
		if fresh {
			port, err := rig.FreePort()
			if err != nil {
				return err
			}
			s.port = port
		}
		args := append([]string{"--data", filepath.Join(work, "data"), "--upstream", s.upstream.URL()}, extra...)
		if s.prefix != "/" {
			args = append(args, "--public-url", s.base())
		}
		s.larder, failure = rig.Start(s.binary, s.port, args, []string{"HOME=" + s.home, "PATH=" + os.Getenv("PATH")})
		if failure == nil || !fresh || !strings.Contains(failure.Error(), "address already in use") {
			break
		}
		s.port = 0 // somebody else was given the port meanwhile
	}
	return failure
}

func (s *session) stopLarder() error {
	if s.larder == nil {
		return errors.New("larder does not run")
	}
	err := s.larder.Stop()
	s.lastLog = s.larder.Log()
	s.logs += s.lastLog
	s.larder = nil
	return err
}

var loggedPath = regexp.MustCompile(`path=(\S+) route=(\S+) `)

// asked returns the paths that clients asked the Larder that ended last for,
// below its base, each once. It is not for a running one, which logs a request
// when the client may have its answer already.
func (s *session) asked(route string) ([]string, error) {
	if s.larder != nil || s.lastLog == "" {
		return nil, errors.New("start larder and stop it first")
	}
	var paths []string
	for _, m := range loggedPath.FindAllStringSubmatch(s.lastLog, -1) {
		if m[2] == route {
			paths = append(paths, strings.TrimPrefix(m[1], s.prefix))
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths), nil
}

// useClient installs a client if need be, puts its commands first in PATH and
// points it at Larder, in a HOME that holds nothing else.
func (s *session) useClient(ts *testscript.TestScript, name string) error {
	if s.port == 0 {
		return errors.New("start larder first")
	}
	c, err := clients.Find(name)
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(".clients")
	if err != nil {
		return err
	}
	bin, err := c.Install(scriptContext(ts), dir)
	if err != nil {
		return err
	}
	if s.manager, err = rig.ManagerOf(name); err != nil {
		return err
	}
	ts.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	ts.Setenv("LOCKFILE", s.manager.Lockfile)
	ts.Setenv("LARDER", s.base())
	for _, kv := range s.manager.Env(s.place()) {
		key, value, _ := strings.Cut(kv, "=")
		ts.Setenv(key, value)
	}
	return s.freshHome()
}

// freshHome empties HOME, but for the client's configuration.
func (s *session) freshHome() error {
	if err := rig.RemoveAll(s.home); err != nil {
		return err
	}
	return s.place().Configure(s.manager)
}
