package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

const (
	barWidth = 24 // characters
	// How often a progress is drawn: on a terminal, and as a line elsewhere.
	redraw   = 200 * time.Millisecond
	linesGap = 5 * time.Second
)

// progress tells a person how far a long task is: by a bar on a terminal, by a
// line every few seconds elsewhere.
type progress struct {
	w      io.Writer
	tty    bool
	width  int // of the terminal, in characters
	now    func() time.Time
	began  time.Time
	first  int64 // done at the beginning
	drawn  time.Time
	onLine bool // the cursor stands behind a bar
}

func newProgress(w io.Writer) *progress {
	p := &progress{w: w, now: time.Now, width: 80}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.tty = true
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			p.width = width
		}
	}
	return p
}

// begin starts the clock: the rate is that of what is done from now on.
func (p *progress) begin(done int64) {
	p.began, p.first = p.now(), done
	p.drawn = p.began
}

// show tells that done of total bytes, 0 while that is not known, are done, if
// it is time to tell it.
func (p *progress) show(what string, done, total int64) {
	now := p.now()
	gap := linesGap
	if p.tty {
		gap = redraw
	}
	if now.Sub(p.drawn) < gap {
		return
	}
	p.drawn = now
	text := p.text(what, done, total, now.Sub(p.began))
	if !p.tty {
		fmt.Fprintln(p.w, text)
		return
	}
	if bar := p.bar(done, total); len(bar)+len(text) < p.width {
		text = bar + text
	}
	fmt.Fprintf(p.w, "\r\x1b[K%.*s", p.width-1, text)
	p.onLine = true
}

func (p *progress) bar(done, total int64) string {
	if total <= 0 {
		return ""
	}
	full := int(min(done, total) * barWidth / total)
	return "[" + strings.Repeat("#", full) + strings.Repeat("-", barWidth-full) + "] "
}

func (p *progress) text(what string, done, total int64, took time.Duration) string {
	text := what + ": " + roughly(done)
	rate := float64(done-p.first) / max(took.Seconds(), 1e-3)
	if total > 0 {
		text += fmt.Sprintf(" of %s, %d %%", roughly(total), min(done, total)*100/total)
	}
	text += fmt.Sprintf(", %s/s", roughly(int64(rate)))
	if total > done && rate > 0 {
		left := time.Duration(float64(total-done) / rate * float64(time.Second))
		text += ", " + left.Round(time.Second).String() + " left"
	}
	return text
}

// clear takes the bar away, so that something else can be written.
func (p *progress) clear() {
	if p.onLine {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.onLine = false
	}
}

// roughly writes a number of bytes for a person.
func roughly(n int64) string {
	for _, u := range []struct {
		name  string
		bytes int64
	}{{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}} {
		if n >= u.bytes {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.bytes), u.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}
