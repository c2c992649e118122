package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"larder/test/rig"
)

// TestMain plays the part of a child, too, which this program starts itself as.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && roles[os.Args[1]] != nil {
		main()
		return
	}
	rig.Main(m)
}

// needLinux skips a test of what is measured: only Linux has /proc.
func needLinux(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("servers are measured on Linux alone")
	}
}

// TestRun measures Larder alone, for a moment: every figure must be there and
// mean something.
func TestRun(t *testing.T) {
	needLinux(t)
	p := Profile{Rounds: 1, Window: 50 * time.Millisecond, Quick: true}
	b, err := newBench(t.Context(), p, t.TempDir(), []Server{Larder{Binary: rig.Plain(t)}, Pnpr{Dir: t.TempDir()}}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Run(t.Context(), []string{"start", "hits"}); err != nil {
		t.Fatal(err)
	}
	if len(b.Report.Notes) > 0 {
		t.Errorf("notes: %q", b.Report.Notes)
	}
	if len(b.Servers) != 1 || !strings.Contains(b.Report.Missing["pnpr"], "bench-peers") {
		t.Errorf("%d servers, missing %v", len(b.Servers), b.Report.Missing)
	}
	names := map[string]int{}
	for _, f := range b.Report.Figures {
		names[f.Section+" "+f.Name]++
		if len(f.Values) != p.Rounds {
			t.Errorf("%d values in %+v", len(f.Values), f)
		}
		if f.Name != "cpu" && f.Name != "body" && slices.Min(f.Values) <= 0 { // of so few answers the CPU time may be nothing
			t.Errorf("nothing measured: %+v", f)
		}
	}
	for _, name := range []string{"start first answer", "start idle memory", "hits rate", "hits p50", "hits p99", "hits cpu", "hits peak memory", "hits body"} {
		if names[name] == 0 {
			t.Errorf("no %s in %v", name, names)
		}
	}

	file := filepath.Join(t.TempDir(), "report.json")
	if err := b.Report.Save(file); err != nil {
		t.Fatal(err)
	}
	again, err := LoadReport(file)
	if err != nil {
		t.Fatal(err)
	}
	if f := b.Report.Figures[0]; !slices.Equal(again.Find(f.Section, f.Name, f.Case, f.Server).Values, f.Values) || !again.Started.Equal(b.Report.Started) {
		t.Errorf("%+v became %+v", b.Report, again)
	}
}

// TestRivals has a rival that cannot start: the run goes on without it, but not
// without the product.
func TestRivals(t *testing.T) {
	needLinux(t)
	pnpr := filepath.Join(t.TempDir(), "pnpr", "node_modules")
	for file, text := range map[string]string{
		filepath.Join(pnpr, "@pnpm", "pnpr", "package.json"): `{"version":"1.2.3"}`,
		filepath.Join(pnpr, ".bin", "pnpr"):                  "#!/bin/sh\necho no such luck\nexit 1\n",
	} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	broken := Pnpr{Dir: filepath.Dir(filepath.Dir(pnpr))}
	p := Profile{Rounds: 1, Window: 50 * time.Millisecond, Match: "tarball 4 KB", Quick: true}
	run := func(servers ...Server) (*Report, error) {
		b, err := newBench(t.Context(), p, t.TempDir(), servers, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		return b.Report, b.Run(t.Context(), []string{"start", "hits"})
	}

	rivals := []Server{broken, Larder{Binary: rig.Plain(t)}}
	if _, err := (Nginx{}).Version(t.Context()); err == nil {
		rivals = append(rivals, Nginx{})
	}
	report, err := run(rivals...)
	if err != nil {
		t.Error(err)
	}
	for _, section := range []string{"start", "hits"} {
		if got := len(report.servers(section)); got != len(rivals)-1 {
			t.Errorf("%s: figures of %d servers, want %d", section, got, len(rivals)-1)
		}
	}
	if notes := strings.Join(report.Notes, "\n"); len(report.Notes) != 2 || strings.Count(notes, "no such luck") != 2 || report.Versions["pnpr"] != "1.2.3" {
		t.Errorf("notes %q, versions %v", report.Notes, report.Versions)
	}

	product := filepath.Join(t.TempDir(), "larder")
	if err := os.WriteFile(product, []byte("#!/bin/sh\n[ $1 = version ] && printf 'larder x\\ncommit y\\n' || exit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := run(Larder{Binary: product}); err == nil || !strings.Contains(err.Error(), "start: larder") {
		t.Errorf("a product that does not start: error %v", err)
	}
}

func TestCommands(t *testing.T) {
	file := filepath.Join(t.TempDir(), "report.json")
	r := new(Report)
	r.Add(Figure{Section: "hits", Case: "tarball 4 KB (32)", Server: product, Name: "rate", Unit: "1/s", Higher: true}, 1234)
	if err := r.Save(file); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		args []string
		want string // of the output, or else of the error
		ok   bool
	}{
		{"render", []string{"render", file}, "| tarball 4 KB (32) | 1,234 |", true},
		{"compare", []string{"compare", file, file}, "1.00–1.00", true},
		{"compare with nothing", []string{"compare", file}, "2 files wanted", false},
		{"a file that is not there", []string{"render", file + ".none"}, "no such file", false},
		{"a file that is no report", []string{"render", "main.go"}, "main.go: invalid character", false},
		{"no command", nil, "help", false},
		{"another command", []string{"fly"}, `"fly"`, false},
		{"a section that there is not", []string{"run", "-only", "hits,wings"}, `"wings"`, false},
		{"a server that there is not", []string{"run", "-servers", "apache"}, `"apache"`, false},
		{"a window too short for wrk", []string{"run", "-window", "1500ms"}, "whole seconds", false},
		{"no rounds", []string{"run", "-rounds", "0"}, "rounds", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			err := command(t.Context(), tt.args, &out, io.Discard)
			if (err == nil) != tt.ok {
				t.Fatal(err)
			}
			if said := out.String() + fmt.Sprint(err); !strings.Contains(said, tt.want) {
				t.Errorf("no %q in %q", tt.want, said)
			}
		})
	}
}
