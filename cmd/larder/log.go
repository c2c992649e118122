package main

import (
	"io"
	"log/slog"
	"sync"
	"time"
)

// The bounds on what waits of the access log. A process that is killed loses
// no more than this.
const (
	accessDelay = 200 * time.Millisecond
	accessBytes = 32 << 10
)

// logs are the two loggers of a server. They write one log: lines come out in
// the order in which they were written to either.
type logs struct {
	*slog.Logger              // of what people should know: each line is written at once
	access       *slog.Logger // of requests: its lines are written together
	writer       *logWriter
}

// newLogs returns loggers to w. The caller calls Close.
func newLogs(cfg LogConfig, w io.Writer) logs {
	out := &logWriter{w: w, delay: accessDelay}
	return logs{newLogger(cfg, out), newLogger(cfg, delayed{out}), out}
}

// Close writes what waits. The loggers may be used on; their lines are then
// written at once.
func (l logs) Close() error { return l.writer.close() }

func newLogger(cfg LogConfig, w io.Writer) *slog.Logger {
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	options := &slog.HandlerOptions{Level: levels[cfg.Level]}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// logWriter writes lines to the log. A line of the access log waits if the last
// write is not long ago: a write for each request costs as much as a tenth of
// the request, while a person who looks on sees a single one at once.
type logWriter struct {
	delay time.Duration

	mu      sync.Mutex // guards what follows, and keeps lines whole and in order: it is held while they are written
	w       io.Writer
	waiting []byte
	written time.Time // when w was written last
	timer   *time.Timer
	closed  bool
}

// Write writes what waits, and line.
func (l *logWriter) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, line...)
	return len(line), l.flush()
}

// delayed is a logWriter for lines that may wait.
type delayed struct{ *logWriter }

// Write takes line, which is written after at most the delay.
func (d delayed) Write(line []byte) (int, error) {
	l := d.logWriter
	l.mu.Lock()
	defer l.mu.Unlock()
	first := len(l.waiting) == 0
	l.waiting = append(l.waiting, line...)
	if l.closed || len(l.waiting) >= accessBytes || first && time.Since(l.written) >= l.delay {
		return len(line), l.flush()
	}
	switch {
	case l.timer == nil:
		l.timer = time.AfterFunc(l.delay, l.tick)
	case first:
		l.timer.Reset(l.delay)
	}
	return len(line), nil
}

func (l *logWriter) tick() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.flush() // there is no log to say it in
}

// flush writes what waits. It is called with mu held.
func (l *logWriter) flush() error {
	if len(l.waiting) == 0 {
		return nil
	}
	_, err := l.w.Write(l.waiting)
	l.waiting = l.waiting[:0]
	l.written = time.Now()
	return err
}

func (l *logWriter) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.timer != nil {
		l.timer.Stop()
	}
	return l.flush()
}
