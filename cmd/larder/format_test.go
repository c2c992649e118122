package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFormatIsWrittenOnceAndObeyed(t *testing.T) {
	this := build{version: "1.4.0"}
	tests := []struct {
		name  string
		files map[string]string // before
		want  string            // part of the error; "": none
		left  string            // the format file afterwards; "": the one that a new directory gets
	}{
		{name: "new"},
		{name: "what another program left", files: map[string]string{"htpasswd": "alice:x"}},
		{name: "a new volume", files: map[string]string{"lost+found": "", ".snapshot": ""}},
		{name: "interrupted before", files: map[string]string{".format-123": `{"form`}},
		{name: "this release's", files: map[string]string{"format": `{"format":2,"larder":"1.4.0"}`, "objects": ""}, left: `{"format":2,"larder":"1.4.0"}`},
		{name: "an older one's", files: map[string]string{"format": `{"format":1,"larder":"1.0.0"}`, "objects": ""}, left: `{"format":1,"larder":"1.0.0"}`},
		{name: "unknown members", files: map[string]string{"format": `{"format":2,"larder":"1.4.9","more":[]}`}, left: `{"format":2,"larder":"1.4.9","more":[]}`},
		{name: "a newer one's", files: map[string]string{"format": `{"format":3,"larder":"2.0.1"}`}, want: "was written by larder 2.0.1, which is newer than this one (1.4.0)"},
		{name: "empty", files: map[string]string{"format": ""}, want: "is damaged"},
		{name: "zeros", files: map[string]string{"format": strings.Repeat("\x00", 33)}, want: "is damaged"},
		{name: "no number", files: map[string]string{"format": `{"larder":"1.4.0"}`}, want: "is damaged"},
		{name: "negative", files: map[string]string{"format": `{"format":-1}`}, want: "is damaged"},
		{name: "endless", files: map[string]string{"format": strings.Repeat(" ", maxFormatBytes+1)}, want: "longer than"},
		{name: "lost", files: map[string]string{"objects": ""}, want: `holds objects but no file "format"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "hosted")
			for name, text := range tt.files {
				if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)); err != nil {
					t.Fatal(err)
				}
			}
			err := openFormat(dir, 2, 0o750, this, "htpasswd")
			text, readErr := os.ReadFile(filepath.Join(dir, "format"))
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error %v, want %q in it", err, tt.want)
				}
				if string(text) != tt.files["format"] {
					t.Errorf("the file was touched: %s", text)
				}
				return
			}
			if err != nil || readErr != nil {
				t.Fatal(err, readErr)
			}
			want := tt.left
			if want == "" {
				want = `{"format":2,"larder":"1.4.0"}` + "\n"
			}
			if string(text) != want {
				t.Errorf("format file %q, want %q", text, want)
			}
			if err := openFormat(dir, 2, 0o750, build{version: "1.5.0"}); err != nil {
				t.Errorf("the next release of the same format: %v", err)
			}
		})
	}
}

func TestFormatFileIsNotGuessedAt(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "format"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := openFormat(dir, 1, 0o750, build{}); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a format file that cannot be read gives %v", err)
	}
}
