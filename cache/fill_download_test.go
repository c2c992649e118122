package cache_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/cache"
)

// A download breaks on the way, and the readers should not notice. Each
// source has 500 KB; its first stream breaks.
func TestABrokenDownloadGoesOn(t *testing.T) {
	data := randomBytes(1, 500*kb)
	type script func(src *source, r request, n int) (*cache.Stream, error)
	firstThen := func(first, then script) script {
		return func(src *source, r request, n int) (*cache.Stream, error) {
			if n == 1 {
				return first(src, r, n)
			}
			return then(src, r, n)
		}
	}
	resumes := func(src *source, r request, _ int) (*cache.Stream, error) { return src.whole(r.Offset), nil }
	restarts := func(src *source, r request, _ int) (*cache.Stream, error) { return src.whole(0), nil }
	breaksAt := func(at int) script {
		return func(src *source, r request, _ int) (*cache.Stream, error) {
			return src.stream(0, part(data[:at]), broken()), nil
		}
	}
	tests := []struct {
		name   string
		script script
		want   error // nil: all is well
		cause  error // that is wrapped, too
		opened []request
	}{
		{"reset, then resumed", firstThen(breaksAt(100*kb), resumes), nil, nil,
			[]request{{}, {"", 100 * kb, "v1"}}},
		{"early end, then resumed", firstThen(func(src *source, r request, _ int) (*cache.Stream, error) {
			return src.stream(0, part(data[:100*kb])), nil
		}, resumes), nil, nil,
			[]request{{}, {"", 100 * kb, "v1"}}},
		{"reset before the first byte", firstThen(breaksAt(0), resumes), nil, nil,
			[]request{{}, {"", 0, "v1"}}},
		{"reset after the last byte", breaksAt(500 * kb), nil, nil,
			[]request{{}}},
		{"reset with unknown size", firstThen(func(src *source, r request, n int) (*cache.Stream, error) {
			s, err := breaksAt(100*kb)(src, r, n)
			return unsized(s), err
		}, resumes), nil, nil,
			[]request{{}, {"", 100 * kb, "v1"}}},
		{"resumed without naming the size", firstThen(breaksAt(100*kb), func(src *source, r request, _ int) (*cache.Stream, error) {
			return unsized(src.whole(r.Offset)), nil
		}), nil, nil,
			[]request{{}, {"", 100 * kb, "v1"}}},
		{"a source that can only begin again", firstThen(breaksAt(100*kb), restarts), nil, nil,
			[]request{{}, {"", 100 * kb, "v1"}}},
		{"no validator to resume with", firstThen(func(src *source, r request, n int) (*cache.Stream, error) {
			s, err := breaksAt(100*kb)(src, r, n)
			s.Validator = ""
			return s, err
		}, restarts), nil, nil,
			[]request{{}, {"", 0, ""}}},
		{"beginning again breaks, too", func(src *source, r request, n int) (*cache.Stream, error) {
			if n == 3 {
				return src.whole(0), nil
			}
			return breaksAt(100*kb/n)(src, r, n)
		}, nil, nil,
			[]request{{}, {"", 100 * kb, "v1"}, {"", 100 * kb, "v1"}}},
		{"many breaks with progress between", func(src *source, r request, n int) (*cache.Stream, error) {
			to := min(r.Offset+64*kb, 500*kb)
			return src.stream(r.Offset, part(data[r.Offset:to]), broken()), nil
		}, nil, nil,
			[]request{{}, {"", 64 * kb, "v1"}, {"", 128 * kb, "v1"}, {"", 192 * kb, "v1"}, {"", 256 * kb, "v1"},
				{"", 320 * kb, "v1"}, {"", 384 * kb, "v1"}, {"", 448 * kb, "v1"}}},
		{"one failed attempt to go on", func(src *source, r request, n int) (*cache.Stream, error) {
			switch n {
			case 1:
				return breaksAt(100*kb)(src, r, n)
			case 2:
				return nil, errReset
			}
			return src.whole(r.Offset), nil
		}, nil, nil,
			[]request{{}, {"", 100 * kb, "v1"}, {"", 100 * kb, "v1"}}},

		{"no attempt succeeds", firstThen(breaksAt(100*kb), func(*source, request, int) (*cache.Stream, error) {
			return nil, errReset
		}), cache.ErrTruncated, errReset, nil},
		{"no attempt brings anything", firstThen(breaksAt(100*kb), func(src *source, r request, _ int) (*cache.Stream, error) {
			return src.stream(r.Offset), nil
		}), cache.ErrTruncated, io.ErrUnexpectedEOF, nil},
		{"a little each time is not enough", func(src *source, r request, _ int) (*cache.Stream, error) {
			return src.stream(r.Offset, part(data[r.Offset:r.Offset+kb]), broken()), nil
		}, cache.ErrTruncated, errReset, nil},
		{"begins again with other bytes", firstThen(breaksAt(100*kb), func(src *source, r request, _ int) (*cache.Stream, error) {
			return src.stream(0, part(flipped(data, 5))), nil
		}), cache.ErrChanged, nil, nil},
		{"resumes with another size", firstThen(breaksAt(100*kb), func(src *source, r request, _ int) (*cache.Stream, error) {
			s := src.whole(r.Offset)
			s.Size++
			return s, nil
		}), cache.ErrChanged, nil, nil},
		{"resumes somewhere else", firstThen(breaksAt(100*kb), func(src *source, r request, _ int) (*cache.Stream, error) {
			return src.whole(r.Offset - 1), nil
		}), cache.ErrChanged, nil, nil},
		{"turns out shorter than what came", firstThen(func(src *source, r request, n int) (*cache.Stream, error) {
			s, err := breaksAt(100*kb)(src, r, n)
			return unsized(s), err
		}, func(src *source, r request, _ int) (*cache.Stream, error) {
			s := src.whole(r.Offset)
			s.Size = 50 * kb
			return s, nil
		}), cache.ErrChanged, nil, nil},
		{"is longer than announced", func(src *source, r request, _ int) (*cache.Stream, error) {
			return src.stream(0, part(data), part([]byte("x"))), nil
		}, cache.ErrIntegrity, nil, nil},
		{"resumes with wrong bytes", firstThen(breaksAt(100*kb), func(src *source, r request, _ int) (*cache.Stream, error) {
			return src.stream(r.Offset, part(flipped(data[r.Offset:], 5))), nil
		}), cache.ErrIntegrity, errHash, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			onStores(t, cache.BlobsConfig{}, func(t *testing.T, b bench) {
				src := &source{data: data}
				src.open = func(_ context.Context, r request, n int) (*cache.Stream, error) {
					return tt.script(src, r, n)
				}
				blob, err := b.Get(t.Context(), blobKey, src)
				var got []byte
				if err == nil {
					got, err = follow(blob).rest()
					blob.Close()
				}
				if !errors.Is(err, tt.want) || !errors.Is(err, tt.cause) && tt.cause != nil {
					t.Errorf("read %d bytes, %v; want %v", len(got), err, tt.want)
				}
				if tt.want == nil {
					if !bytes.Equal(got, data) {
						t.Errorf("read %d bytes that are not the right ones", len(got))
					}
					b.wantStored(t, data)
					if diff := cmp.Diff(tt.opened, src.asked()); diff != "" {
						t.Errorf("opened (-want +got):\n%s", diff)
					}
				} else {
					if len(got) > len(data)-64*kb {
						t.Errorf("%d unverified bytes were shown", len(got))
					}
					b.wantStored(t, nil)
				}
				if n := src.bodies.Load(); n != 0 {
					t.Errorf("%d bodies are still open", n)
				}
			})
		})
	}
}

func TestWrongBytesNeverComplete(t *testing.T) {
	for _, size := range []int{1, 64 * kb, 64*kb + 1, 300 * kb} {
		for _, at := range []string{"first", "last"} {
			t.Run(at+" byte of "+cmpSize(size), func(t *testing.T) {
				onStores(t, cache.BlobsConfig{}, func(t *testing.T, b bench) {
					src := &source{data: randomBytes(1, size)}
					i := 0
					if at == "last" {
						i = size - 1
					}
					src.open = func(context.Context, request, int) (*cache.Stream, error) {
						return src.stream(0, part(flipped(src.data, i))), nil
					}
					blob, err := b.Get(t.Context(), blobKey, src)
					if err == nil {
						defer blob.Close()
						var got []byte
						got, err = follow(blob).rest()
						if len(got) > max(0, size-64*kb) {
							t.Errorf("%d of %d bytes were shown", len(got), size)
						}
						if waited := blob.Wait(t.Context()); !errors.Is(waited, cache.ErrIntegrity) {
							t.Errorf("Wait: %v", waited)
						}
						if blob.Content() != nil {
							t.Error("there is Content")
						}
					}
					if !errors.Is(err, cache.ErrIntegrity) || !errors.Is(err, errHash) {
						t.Errorf("the reader got %v", err)
					}
					b.wantStored(t, nil)
				})
			})
		}
	}
}

func cmpSize(n int) string {
	if n%kb == 0 {
		return "whole KB"
	}
	return "odd size"
}

// Legacy versions have no hash: their length and gzip's checksum must do.
func TestWithoutAHashTheGzipChecksumIsChecked(t *testing.T) {
	zipped := func(data []byte) []byte {
		var buf bytes.Buffer
		zw := gzip.NewWriter(&buf)
		zw.Write(data)
		zw.Close()
		return buf.Bytes()
	}
	small, big := zipped(randomBytes(1, 10*kb)), zipped(randomBytes(2, 300*kb))
	tests := []struct {
		name  string
		data  []byte
		wrong string // part of the error; "" if there is none
	}{
		{"right", small, ""},
		{"right and big", big, ""},
		{"two members", append(bytes.Clone(small), big...), ""},
		{"zeros after the end", append(bytes.Clone(small), make([]byte, 512)...), ""},
		{"one byte after the end", append(bytes.Clone(small), 0x1f), ""},
		{"damaged", flipped(small, len(small)/2), "gzip"},
		{"damaged big", flipped(big, 200*kb), "gzip"},
		{"wrong checksum", flipped(small, len(small)-8), "gzip: invalid checksum"},
		{"cut", small[:len(small)-9], "unexpected EOF"},
		{"cut in the second member", append(bytes.Clone(small), big[:100*kb]...), "unexpected EOF"},
		{"cut in the second header", append(bytes.Clone(small), big[:5]...), "unexpected EOF"},
		{"HTML", []byte("<html>Please log in to the hotel's network</html>"), "not gzip"},
		{"empty", nil, "not gzip"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			onStores(t, cache.BlobsConfig{}, func(t *testing.T, b bench) {
				src := &source{data: tt.data}
				src.expect = func(context.Context) (cache.Expectation, error) { return cache.Expectation{}, nil }
				blob, err := b.Get(t.Context(), blobKey, src)
				if err == nil {
					_, err = follow(blob).rest()
					blob.Close()
				}
				if tt.wrong == "" {
					if err != nil {
						t.Fatal(err)
					}
					b.wantStored(t, tt.data)
					return
				}
				if !errors.Is(err, cache.ErrIntegrity) || !strings.Contains(err.Error(), tt.wrong) {
					t.Errorf("got %v, want it to say %q", err, tt.wrong)
				}
				b.wantStored(t, nil)
			})
		})
	}
}

// slowBreak breaks after it was silent for d.
type slowBreak struct{ d time.Duration }

func (s slowBreak) Read([]byte) (int, error) {
	time.Sleep(s.d) // in a synctest bubble
	return 0, errReset
}

// TestASilentDownloadIsGivenUp long before its tries have run out: clients
// wait for a minute at most.
func TestASilentDownloadIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{data: randomBytes(1, 500*kb)}
		src.open = func(_ context.Context, r request, _ int) (*cache.Stream, error) {
			return src.stream(r.Offset, slowBreak{30 * time.Second}), nil
		}
		blobs := cache.NewBlobs(cache.BlobsConfig{Store: cache.NewMem()})
		defer blobs.Close(t.Context())
		began := time.Now()
		_, err := bench{Blobs: blobs}.patient(t, blobKey, src)
		if took := time.Since(began); !errors.Is(err, cache.ErrTruncated) || took > 65*time.Second {
			t.Errorf("after %s: %v, want ErrTruncated after two silences", took, err)
		}
	})
}
