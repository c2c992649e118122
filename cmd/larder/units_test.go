package main

import (
	"testing"
	"time"
)

func TestSize(t *testing.T) {
	tests := []struct {
		text string
		want Size
		back string // what it is printed as
	}{
		{"0", 0, "0"},
		{"512", 512, "512B"},
		{"1B", 1, "1B"},
		{"64MB", 64_000_000, "64MB"},
		{"64 mb", 64_000_000, "64MB"},
		{"64MiB", 64 << 20, "64MiB"},
		{"1500kb", 1_500_000, "1500KB"},
		{"1024KiB", 1 << 20, "1MiB"},
		{"9223372036854775807", 1<<63 - 1, "9223372036854775807B"},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			var s Size
			if err := s.UnmarshalText([]byte(tt.text)); err != nil || s != tt.want {
				t.Fatalf("read as %d, %v; want %d", int64(s), err, int64(tt.want))
			}
			if s.String() != tt.back {
				t.Errorf("printed as %q, want %q", s, tt.back)
			}
		})
	}
	for _, text := range []string{"", "MB", "-1", "-1MB", "1.5GB", "64XB", "64MBs", "0x10", "9223372036854775808", "9223372036854775807KB", "1 0MB"} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was read as %d", text, int64(s))
		}
	}
}

func TestDurationIsPrintedShort(t *testing.T) {
	tests := map[time.Duration]string{
		0:                           "0s",
		30 * time.Second:            "30s",
		10 * time.Minute:            "10m",
		20 * time.Hour:              "20h",
		time.Hour + time.Second:     "1h0m1s",
		90 * time.Minute:            "1h30m",
		1500 * time.Millisecond:     "1.5s",
		time.Minute + time.Second:   "1m1s",
		100*time.Hour + time.Minute: "100h1m",
	}
	for d, want := range tests {
		got := Duration(d).String()
		if got != want {
			t.Errorf("%v is printed as %q, want %q", d, got, want)
		}
		var back Duration
		if err := back.UnmarshalText([]byte(got)); err != nil || time.Duration(back) != d {
			t.Errorf("%q is read as %v, %v; want %v", got, time.Duration(back), err, d)
		}
	}
}
