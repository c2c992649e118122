package test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// dialogueTimeout bounds a command that asks a person something.
const dialogueTimeout = 60 * time.Second

// dialogue is a command at a terminal, with somebody who reads what it says and
// answers.
type dialogue struct {
	ctx    context.Context // ends with the time for it; for this one command
	cancel context.CancelFunc
	cmd    *exec.Cmd
	screen *os.File
	ended  chan struct{} // closed when the command says nothing more

	mu    sync.Mutex // guards said and more
	said  []byte
	more  chan struct{} // closed when said has grown
	heard int           // of said without colours, what has been answered
}

// beginDialogue starts a command. The caller calls end.
func beginDialogue(ctx context.Context, path, dir string, env, args []string) (*dialogue, error) {
	screen, device, err := openTerminal()
	if err != nil {
		return nil, err
	}
	defer device.Close() // the command has its own
	d := &dialogue{screen: screen, ended: make(chan struct{}), more: make(chan struct{})}
	d.ctx, d.cancel = context.WithTimeout(ctx, dialogueTimeout)
	d.cmd = exec.CommandContext(d.ctx, path, args...)
	d.cmd.Dir, d.cmd.Env = dir, env
	atTerminal(d.cmd, device)
	if err := d.cmd.Start(); err != nil {
		d.cancel()
		screen.Close()
		return nil, err
	}
	go d.listen()
	return d, nil
}

// listen reads the screen until nobody can write to it any more, which reads as
// an error (EIO).
func (d *dialogue) listen() {
	defer close(d.ended)
	buf := make([]byte, 4096)
	for {
		n, err := d.screen.Read(buf)
		d.mu.Lock()
		d.said = append(d.said, buf[:n]...)
		close(d.more)
		d.more = make(chan struct{})
		d.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// colours are the escape sequences that programs paint with.
var colours = regexp.MustCompile("\x1b\\[[0-9;?]*[A-Za-z]")

// text is all that was said, without colours, and a channel that is closed when
// there is more.
func (d *dialogue) text() (string, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return colours.ReplaceAllString(string(d.said), ""), d.more
}

// await returns what pattern matches, once it is said after all that was awaited
// before.
func (d *dialogue) await(pattern *regexp.Regexp) (string, error) {
	for {
		ended := false
		select {
		case <-d.ended:
			ended = true
		default:
		}
		text, more := d.text()
		rest := text[min(d.heard, len(text)):]
		if at := pattern.FindStringIndex(rest); at != nil {
			d.heard += at[1]
			return rest[at[0]:at[1]], nil
		}
		if ended {
			return "", fmt.Errorf("it never said %q", pattern)
		}
		select {
		case <-more:
		case <-d.ended:
		case <-d.ctx.Done():
			return "", fmt.Errorf("it did not say %q in time", pattern)
		}
	}
}

// answer waits for a question and types the answer, as soon as it would not be
// lost.
func (d *dialogue) answer(question, answer string) error {
	if _, err := d.await(regexp.MustCompile(regexp.QuoteMeta(question))); err != nil {
		return err
	}
	if err := d.awaitListening(); err != nil {
		return err
	}
	_, err := io.WriteString(d.screen, answer+"\r")
	return err
}

// awaitListening waits until the command has prepared the terminal for an answer.
// Some ask first and then throw away what was typed too early.
func (d *dialogue) awaitListening() error {
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		deaf, err := echoes(d.screen)
		if err != nil || !deaf {
			return err
		}
		select {
		case <-again.C:
		case <-d.ended:
			return errors.New("it ended and heard no answer")
		case <-d.ctx.Done():
			return errors.New("it did not listen in time")
		}
	}
}

// answerAll answers questions one after the other; each is followed by its
// answer.
func (d *dialogue) answerAll(questions []string) error {
	for pair := range slices.Chunk(questions, 2) {
		if err := d.answer(pair[0], pair[1]); err != nil {
			return err
		}
	}
	return nil
}

// end waits for the command, which is killed if err is not nil, and returns what
// it said. failed tells a command that did not succeed from one that could not
// be talked to.
func (d *dialogue) end(err error) (said string, failed bool, _ error) {
	if err != nil {
		d.cancel()
	}
	exit := d.cmd.Wait()
	if d.ctx.Err() != nil && err == nil {
		err = errors.New("it did not end in time")
	}
	d.cancel()
	if err != nil {
		d.screen.Close() // what it started may still hold the terminal
	}
	<-d.ended
	d.screen.Close()
	said, _ = d.text()
	return strings.ReplaceAll(said, "\r\n", "\n"), exit != nil, err
}

func TestDialogue(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("terminals are made on Linux alone")
	}
	const ask = `printf '\033[1mName\033[0m: '; stty -echo; read name; stty echo; echo "hello $name"; `
	tests := []struct {
		name, script string
		questions    []string
		failed       bool
		want, err    string
	}{
		{"answered", ask, []string{"Name:", "alice"}, false, "hello alice\n", ""},
		{"two questions", ask + ask, []string{"Name:", "alice", "Name:", "bob"}, false, "hello bob\n", ""},
		{"fails afterwards", ask + "exit 3", []string{"Name:", "alice"}, true, "hello alice\n", ""},
		{"other question", "echo Password:", []string{"Name:", "alice"}, false, "Password:", "never said"},
		{"asked once only", ask, []string{"Name:", "alice", "Name:", "bob"}, false, "hello alice", "never said"},
		{"ends without an answer", "echo Name:", []string{"Name:", "alice"}, false, "Name:", "heard no answer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := beginDialogue(t.Context(), "/bin/sh", t.TempDir(), os.Environ(), []string{"-c", tt.script})
			if err != nil {
				t.Fatal(err)
			}
			said, failed, err := d.end(d.answerAll(tt.questions))
			if !strings.Contains(said, tt.want) {
				t.Errorf("it said %q, want %q", said, tt.want)
			}
			if tt.err == "" && (err != nil || failed != tt.failed) {
				t.Errorf("failed: %v, error %v", failed, err)
			}
			if tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
		})
	}
}
