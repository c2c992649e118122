package test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"larder/test/registry"
	"larder/test/rig"
)

// commands are the words that scripts know beside testscript's own. README.md
// in scripts/ lists them.
func commands() map[string]func(ts *testscript.TestScript, neg bool, args []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"registry":        positive(cmdRegistry),
		"larder":          positive(cmdLarder),
		"client":          positive(cmdClient),
		"install":         cmdInstall,
		"install-frozen":  cmdInstallFrozen,
		"fresh-cache":     positive(cmdFreshCache),
		"public-lockfile": positive(cmdPublicLockfile),
		"lockhosts":       positive(cmdLockHosts),
	}
}

// positive makes a command of a function that "!" makes no sense for.
func positive(fn func(ts *testscript.TestScript, args []string) error) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg {
			ts.Fatalf("this command cannot be negated")
		}
		ts.Check(fn(ts, args))
	}
}

// cmdRegistry does things to the upstream.
func cmdRegistry(ts *testscript.TestScript, args []string) error {
	s := sessionOf(ts)
	word, args := pop(args)
	if word == "start" {
		return s.startRegistry()
	}
	up := s.upstream
	if up == nil {
		return fmt.Errorf("start the registry first")
	}
	switch {
	case word == "stop" && len(args) == 0:
		up.Stop()
	case word == "reset" && len(args) == 0:
		up.ResetCounts()
	case word == "heal" && len(args) == 0:
		up.ClearFaults()
	case word == "paths" && len(args) == 0:
		for _, path := range up.Paths() {
			fmt.Fprintln(ts.Stdout(), up.Requests(path), path)
		}
	case word == "fault" && len(args) > 0:
		fault, err := parseFault(args[1:])
		if err != nil {
			return err
		}
		up.SetFault(args[0], fault)
	case word == "count" && len(args) == 2:
		return compare(args[0], up.Requests(args[0]), args[1], up)
	case word == "packuments" && len(args) == 1:
		return compare("packuments", up.Packuments(), args[0], up)
	case word == "advisory" && len(args) == 3:
		return up.AddAdvisory(registry.Advisory{ID: 1, Name: args[0], Vulnerable: args[1], Severity: args[2], Title: "a flaw in " + args[0]})
	case word == "mode" && len(args) == 1:
		return setMode(up, args[0])
	case word == "unpublish" && len(args) == 1:
		return up.Unpublish(args[0])
	default:
		return fmt.Errorf("no such thing: registry %s %s", word, strings.Join(args, " "))
	}
	return nil
}

func setMode(up *registry.Server, name string) error {
	modes := map[string]registry.Mode{
		"public":               {},
		"thin":                 {Thin: true},
		"odd-tarballs":         {OddTarballs: true},
		"no-version-documents": {NoVersionDocuments: true},
	}
	mode, ok := modes[name]
	if !ok {
		return fmt.Errorf("no such mode: %s", name)
	}
	up.SetMode(mode)
	return nil
}

func pop(args []string) (string, []string) {
	if len(args) == 0 {
		return "", nil
	}
	return args[0], args[1:]
}

// compare checks a count against "3", or "3+" for at least three.
func compare(what string, got int, want string, up *registry.Server) error {
	number, atLeast := strings.CutSuffix(want, "+")
	n, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	if got == n || atLeast && got > n {
		return nil
	}
	return fmt.Errorf("upstream saw %d requests for %s, not %s; it was asked for\n%s", got, what, want, strings.Join(up.Paths(), "\n"))
}

func parseFault(words []string) (registry.Fault, error) {
	var f registry.Fault
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		var err error
		switch key {
		case "status":
			f.Status, err = strconv.Atoi(value)
		case "times":
			f.Times, err = strconv.Atoi(value)
		case "latency":
			f.Latency, err = time.ParseDuration(value)
		case "truncate":
			f.Truncate, err = strconv.ParseInt(value, 10, 64)
		case "corrupt":
			f.Corrupt = true
		case "reset":
			f.Reset = true
		case "hang":
			f.Hang = true
		case "html":
			f.Body, f.Header = registry.HTML().Body, registry.HTML().Header
		default:
			err = fmt.Errorf("no such fault: %s", word)
		}
		if err != nil {
			return f, err
		}
	}
	return f, nil
}

// cmdLarder starts and stops the server, or prints its log or what is in it.
func cmdLarder(ts *testscript.TestScript, args []string) error {
	s := sessionOf(ts)
	word, args := pop(args)
	switch word {
	case "start":
		return s.startLarder(ts.Getenv("WORK"), args)
	case "stop":
		return s.stopLarder()
	case "log":
		logs := s.logs
		if s.larder != nil {
			logs += s.larder.Log()
		}
		_, err := fmt.Fprint(ts.Stdout(), logs)
		return err
	case "asked":
		route, _ := pop(args)
		paths, err := s.asked(route)
		out := ts.Stdout() // also for no paths: else stdout would be of the command before
		for _, path := range paths {
			fmt.Fprintln(out, path)
		}
		return err
	}
	return fmt.Errorf("no such thing: larder %s", word)
}

// cmdClient makes a package manager ready to use.
func cmdClient(ts *testscript.TestScript, args []string) error {
	name, _ := pop(args)
	return sessionOf(ts).useClient(ts, name)
}

// cmdInstall resolves and installs with the client.
func cmdInstall(ts *testscript.TestScript, neg bool, args []string) {
	run(ts, neg, append(sessionOf(ts).manager.Install, args...))
}

// cmdInstallFrozen installs what the lockfile says.
func cmdInstallFrozen(ts *testscript.TestScript, neg bool, args []string) {
	run(ts, neg, append(sessionOf(ts).manager.Frozen, args...))
}

func run(ts *testscript.TestScript, neg bool, command []string) {
	err := ts.Exec(command[0], command[1:]...)
	switch {
	case err != nil && !neg:
		ts.Fatalf("%s: %v", strings.Join(command, " "), err)
	case err == nil && neg:
		ts.Fatalf("%s succeeded", strings.Join(command, " "))
	}
}

// cmdFreshCache makes this machine one that has never installed
// anything; the project keeps its lockfile.
func cmdFreshCache(ts *testscript.TestScript, _ []string) error {
	if err := rig.RemoveAll(ts.MkAbs("node_modules")); err != nil {
		return err
	}
	return sessionOf(ts).freshHome()
}

// cmdPublicLockfile turns the lockfile into what the client
// would have written against the public registry.
func cmdPublicLockfile(ts *testscript.TestScript, _ []string) error {
	s := sessionOf(ts)
	file := ts.MkAbs(s.manager.Lockfile)
	before := ts.ReadFile(file)
	after := s.manager.Public(before, s.base())
	if strings.Contains(after, s.base()) {
		return fmt.Errorf("%s still names Larder:\n%s", s.manager.Lockfile, after)
	}
	return os.WriteFile(file, []byte(after), 0o644)
}

// cmdLockHosts fails if the lockfile names another place than
// Larder.
func cmdLockHosts(ts *testscript.TestScript, _ []string) error {
	s := sessionOf(ts)
	if foreign := rig.ForeignURLs(ts.ReadFile(s.manager.Lockfile), s.base()); len(foreign) > 0 {
		return fmt.Errorf("%s names other places than %s: %q", s.manager.Lockfile, s.base(), foreign)
	}
	return nil
}

// scriptContext ends with the test.
func scriptContext(ts *testscript.TestScript) context.Context {
	return ts.Value(contextKey{}).(context.Context)
}

type contextKey struct{}
