package main

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

const megabyte = 1_000_000

// Size is a number of bytes, written with a decimal or a binary unit: 64MB, 1GiB.
type Size int64

var sizeUnits = []struct {
	name  string
	bytes int64
}{ // the largest first, so that String finds the shortest notation
	{"TiB", 1 << 40}, {"TB", 1e12},
	{"GiB", 1 << 30}, {"GB", 1e9},
	{"MiB", 1 << 20}, {"MB", 1e6},
	{"KiB", 1 << 10}, {"KB", 1e3},
	{"B", 1},
}

// UnmarshalText reads a whole number and a unit in any case; without a unit
// the number counts bytes.
func (s *Size) UnmarshalText(text []byte) error {
	malformed := errors.New("must be a size, like 64MB or 1GiB")
	digits := strings.TrimRight(string(text), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
	unit := strings.TrimSpace(string(text[len(digits):]))
	factor := int64(1)
	if unit != "" {
		factor = 0
		for _, u := range sizeUnits {
			if strings.EqualFold(u.name, unit) {
				factor = u.bytes
			}
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	switch {
	case err != nil || factor == 0 || n < 0:
		return malformed
	case n > math.MaxInt64/factor:
		return errors.New("is more bytes than there can be")
	}
	*s = Size(n * factor)
	return nil
}

func (s Size) String() string {
	if s != 0 {
		for _, u := range sizeUnits {
			if int64(s)%u.bytes == 0 {
				return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
			}
		}
	}
	return "0"
}

// Duration is a time.Duration that is written without zero parts: 5m, not 5m0s.
type Duration time.Duration

// UnmarshalText reads time.ParseDuration's notation.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return errors.New("must be a duration, like 30s, 5m or 1h30m")
	}
	*d = Duration(parsed)
	return nil
}

func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
