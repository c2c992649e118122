package upstream

import (
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestUnpack(t *testing.T) {
	const text = "the quick brown fox"
	lying := func(size uint32) []byte {
		b := zipped(text)
		binary.LittleEndian.PutUint32(b[len(b)-4:], size)
		return b
	}
	for _, tt := range []struct {
		name   string
		packed []byte
		limit  int64
		want   string
		ok     bool
	}{
		{"one member", zipped(text), 100, text, true},
		{"nothing", zipped(""), 100, "", true},
		{"two members", append(zipped(text), zipped(text)...), 100, text + text, true},
		{"a big member and a small one", append(zipped(strings.Repeat("a", 1000)), zipped("b")...), 2000, strings.Repeat("a", 1000) + "b", true},
		{"a small member and a big one", append(zipped("b"), zipped(strings.Repeat("a", 1000))...), 2000, "b" + strings.Repeat("a", 1000), true},
		{"as large as may be", zipped(text), int64(len(text)), text, true},
		{"too large", zipped(text), int64(len(text)) - 1, "", false},
		{"two members too large", append(zipped(text), zipped(text)...), int64(len(text)), "", false},
		{"a size that is too small", lying(3), 100, "", false},
		{"a size that is too big", lying(50), 100, "", false},
		{"a size that cannot be", lying(1 << 31), 1 << 40, "", false},
		{"cut in the trailer", zipped(text)[:30], 100, "", false},
		{"empty", nil, 100, "", false},
		{"no gzip", []byte(text + "\x10\x00\x00\x00"), 100, "", false},
		{"bytes behind it", append(zipped(text), "xxxxxxxxxxxx\x13\x00\x00\x00"...), 100, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBudget(1 << 20)
			d, err := b.unpack(t.Context(), tt.packed, tt.limit)
			if (err == nil) != tt.ok {
				t.Fatalf("error %v", err)
			}
			if d != nil {
				if string(d.bytes) != tt.want {
					t.Errorf("%q, want %q", d.bytes, tt.want)
				}
				d.release()
			}
			if !b.shares.TryAcquire(1 << 20) {
				t.Error("a share is not given back")
			}
		})
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(zipped("text"))
	f.Add(append(zipped("a"), zipped("b")...))
	f.Add([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, packed []byte) {
		const limit = 1 << 16
		b := newBudget(limit)
		if d, err := b.unpack(t.Context(), packed, limit); err == nil {
			if len(d.bytes) > limit {
				t.Errorf("%d bytes", len(d.bytes))
			}
			d.release()
		}
		if !b.shares.TryAcquire(limit) {
			t.Error("a share is not given back")
		}
	})
}

func TestReadAll(t *testing.T) {
	for _, tt := range []struct {
		name        string
		body        string
		size, limit int64
		want        error
	}{
		{"known size", "abc", 3, 3, nil},
		{"unknown size", "abc", -1, 3, nil},
		{"too large by its size", "abc", 4, 3, errTooLarge},
		{"too large when it came", "abcd", -1, 3, errTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := readAll(strings.NewReader(tt.body), tt.size, tt.limit)
			if !errors.Is(err, tt.want) || err == nil && string(got) != tt.body {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

func TestReadPackedBoundsWhatItPacks(t *testing.T) {
	for body, want := range map[string]error{"1234": nil, "12345": errTooLarge} {
		resp := &http.Response{Body: io.NopCloser(strings.NewReader(body))}
		if _, n, err := new(gzips).readPacked(resp, 4); !errors.Is(err, want) || n != int64(len(body)) {
			t.Errorf("%d bytes of %q, %v; want %v", n, body, err, want)
		}
	}
}
