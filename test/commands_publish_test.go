package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/tidwall/gjson"
)

// publishCommands are the words of scripts that publish, and that sign people in.
func publishCommands() map[string]func(ts *testscript.TestScript, neg bool, args []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"publish":   cmdPublish,
		"published": cmdPublished,
		"tags":      positive(cmdTags),
		"sign-in":   positive(cmdSignIn),
		"use-token": positive(cmdUseToken),
		"answer":    cmdAnswer,
		"browse":    cmdBrowse,
		"admin":     cmdAdmin,
		"monorepo":  positive(cmdMonorepo),
	}
}

// cmdPublish publishes the package of this directory with the client.
func cmdPublish(ts *testscript.TestScript, neg bool, args []string) {
	publish := sessionOf(ts).manager.Publish
	if publish == nil {
		ts.Fatalf("this client cannot publish")
	}
	run(ts, neg, append(slices.Clone(publish), args...))
}

// cmdPublished fails unless Larder shows versions, and has just what it shows;
// with "!", unless it shows and has none of them. A version is NAME@VERSION, or
// a pattern of directories whose packages are meant.
func cmdPublished(ts *testscript.TestScript, neg bool, args []string) {
	s := sessionOf(ts)
	for _, arg := range args {
		specs := []string{arg}
		if strings.HasPrefix(arg, ".") {
			specs = specsIn(ts, arg)
		}
		for _, spec := range specs {
			name, version, ok := cutLast(spec, "@")
			if !ok || name == "" {
				ts.Fatalf("neither NAME@VERSION nor a directory: %s", spec)
			}
			check := s.checkPublished
			if neg {
				check = s.checkGone
			}
			if err := check(scriptContext(ts), name, version); err != nil {
				ts.Fatalf("%s: %v", spec, err)
			}
		}
	}
}

// specsIn are the NAME@VERSION of the packages whose directories match.
func specsIn(ts *testscript.TestScript, pattern string) []string {
	files, err := filepath.Glob(filepath.Join(ts.MkAbs(pattern), "package.json"))
	ts.Check(err)
	if len(files) == 0 {
		ts.Fatalf("no package in %s", pattern)
	}
	var specs []string
	for _, file := range files {
		manifest := gjson.Parse(ts.ReadFile(file))
		specs = append(specs, manifest.Get("name").String()+"@"+manifest.Get("version").String())
	}
	return specs
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// cmdTags fails unless the dist-tags of a package are just these, sorted:
// "tags NAME TAG=VERSION …".
func cmdTags(ts *testscript.TestScript, args []string) error {
	name, want := pop(args)
	got, err := sessionOf(ts).tags(scriptContext(ts), name)
	if err == nil && !slices.Equal(got, want) {
		err = fmt.Errorf("the tags of %s are %s", name, got)
	}
	return err
}

// cmdSignIn gets a token from Larder as npm's legacy login does, and puts it
// into the client's configuration and $TOKEN.
func cmdSignIn(ts *testscript.TestScript, args []string) error {
	s := sessionOf(ts)
	user, _ := pop(args)
	token, err := s.signIn(scriptContext(ts), user)
	if err != nil {
		return err
	}
	ts.Setenv("TOKEN", token)
	return s.useToken(token)
}

// tokens are what auth.CreateToken makes.
var tokens = regexp.MustCompile(`larder_[0-9A-Za-z]{49}`)

// cmdUseToken puts the token that a text shows into the client's configuration,
// in place of any other, and $TOKEN.
func cmdUseToken(ts *testscript.TestScript, args []string) error {
	file, _ := pop(args)
	token := tokens.FindString(ts.ReadFile(file))
	if token == "" {
		return fmt.Errorf("no token in %s", file)
	}
	ts.Setenv("TOKEN", token)
	return sessionOf(ts).useToken(token)
}

// cmdAnswer runs a command at a terminal and answers its questions:
// "answer [QUESTION ANSWER]... -- COMMAND".
func cmdAnswer(ts *testscript.TestScript, neg bool, args []string) {
	questions, command := splitDialogue(ts, args)
	talk(ts, neg, command, func(d *dialogue) error { return d.answerAll(questions) })
}

// cmdBrowse runs a command at a terminal and answers its questions. When it
// names Larder's login page, a person goes there and signs in, or makes an
// account: "browse [-create] USER [QUESTION ANSWER]... -- COMMAND".
func cmdBrowse(ts *testscript.TestScript, neg bool, args []string) {
	user, args := pop(args)
	create := user == "-create"
	if create {
		user, args = pop(args)
	}
	questions, command := splitDialogue(ts, args)
	s := sessionOf(ts)
	talk(ts, neg, command, func(d *dialogue) error {
		if err := d.answerAll(questions); err != nil {
			return err
		}
		url, err := d.await(s.loginPage())
		if err != nil {
			return err
		}
		return submitLogin(scriptContext(ts), url, user, create)
	})
}

// splitDialogue splits at the first "--".
func splitDialogue(ts *testscript.TestScript, args []string) (questions, command []string) {
	i := slices.Index(args, "--")
	if i < 0 || i%2 != 0 || i == len(args)-1 {
		ts.Fatalf("not [QUESTION ANSWER]... -- COMMAND: %q", args)
	}
	return args[:i], args[i+1:]
}

// talk runs a command at a terminal, where with does the talking. All that was
// said is the script's stdout.
func talk(ts *testscript.TestScript, neg bool, command []string, with func(*dialogue) error) {
	path, env := scriptPath(ts, command[0]), scriptEnviron(ts)
	d, err := beginDialogue(scriptContext(ts), path, ts.MkAbs("."), env, command[1:])
	ts.Check(err)
	said, failed, err := d.end(with(d))
	fmt.Fprint(ts.Stdout(), said)
	switch {
	case err != nil:
		ts.Fatalf("%s: %v; it said:\n%s", strings.Join(command, " "), err, said)
	case failed && !neg:
		ts.Fatalf("%s failed; it said:\n%s", strings.Join(command, " "), said)
	case !failed && neg:
		ts.Fatalf("%s succeeded; it said:\n%s", strings.Join(command, " "), said)
	}
}

// scriptPath finds a command as the script's own exec does.
func scriptPath(ts *testscript.TestScript, name string) string {
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	ts.Fatalf("no such command: %s", name)
	return ""
}

// cmdAdmin runs one of larder's own commands on the data directory.
func cmdAdmin(ts *testscript.TestScript, neg bool, args []string) {
	data := filepath.Join(ts.Getenv("WORK"), "data")
	run(ts, neg, append([]string{sessionOf(ts).binary}, append(args, "--data", data)...))
}

// cmdMonorepo writes N packages below packages in this directory: @mono/p1, and
// each further one depends on the one of half its number.
func cmdMonorepo(ts *testscript.TestScript, args []string) error {
	number, _ := pop(args)
	n, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	for i := 1; i <= n; i++ {
		dir := ts.MkAbs(fmt.Sprintf("packages/p%d", i))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		dependencies, code := "{}", "module.exports = 1\n"
		if i > 1 {
			dependencies = fmt.Sprintf(`{"@mono/p%d": "^1.0.0"}`, i/2)
			code = fmt.Sprintf("module.exports = 1 + require('@mono/p%d')\n", i/2)
		}
		manifest := fmt.Sprintf(`{"name": "@mono/p%d", "version": "1.0.0", "license": "MIT", "main": "index.js", "dependencies": %s}`+"\n", i, dependencies)
		if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte(manifest), 0o644); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "index.js"), []byte(code), 0o644); err != nil {
			return err
		}
	}
	return nil
}
