package proxy

import (
	"net/http"
	"testing"
)

func TestEncodingOf(t *testing.T) {
	tests := []struct{ name, header, want string }{
		{"npm", "gzip,deflate", "gzip"},
		{"yarn 4", "gzip, deflate, br", "gzip"},
		{"pnpm 12: a tie", "zstd,gzip,deflate", "gzip"},
		{"bun", "gzip, deflate, br, zstd", "gzip"},
		{"bun's broken value", "gzip/deflate", "identity"},
		{"a longer token", "gzipped", "identity"},
		{"upper case", "GZIP", "gzip"},
		{"zstd alone", "zstd", "zstd"},
		{"zstd preferred", "gzip;q=0.5, zstd", "zstd"},
		{"gzip refused", "gzip;q=0, zstd;q=0.1", "zstd"},
		{"star", "*", "gzip"},
		{"star, gzip refused", "gzip;q=0, *;q=0.5", "zstd"},
		{"identity preferred", "identity, gzip;q=0.5", "identity"},
		{"identity refused, nothing else known", "br, identity;q=0", "identity"},
		{"empty", "", "identity"},
		{"unknown", "br", "identity"},
		{"bad quality", "gzip;q=2", "identity"},
		{"quality not a number", "gzip;q=NaN", "identity"},
		{"spaces", " gzip ; q = 0.5 , zstd ; q=0.4", "gzip"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := encodingOf(http.Header{"Accept-Encoding": {tt.header}}, true); got != tt.want {
				t.Errorf("encodingOf(%q) = %q, want %q", tt.header, got, tt.want)
			}
		})
	}
	for header, want := range map[string]string{"gzip;q=0.5, zstd": "gzip", "zstd": "identity", "gzip;q=0, *": "identity"} {
		if got := encodingOf(http.Header{"Accept-Encoding": {header}}, false); got != want {
			t.Errorf("encodingOf(%q) without zstd = %q, want %q", header, got, want)
		}
	}
	if got := encodingOf(http.Header{}, true); got != identity {
		t.Errorf("without a header: %q, want identity", got)
	}
}

func TestNotModified(t *testing.T) {
	const etag = `W/"abc"`
	tests := []struct {
		name   string
		header []string
		want   bool
	}{
		{"none", nil, false},
		{"weak", []string{`W/"abc"`}, true},
		{"strong", []string{`"abc"`}, true},
		{"other", []string{`"abd"`}, false},
		{"prefix", []string{`"abcd"`}, false},
		{"list", []string{`"x", W/"abc"`}, true},
		{"list without spaces", []string{`"x","abc"`}, true},
		{"second line", []string{`"x"`, `"abc"`}, true},
		{"star", []string{`*`}, true},
		{"comma inside a tag", []string{`"x,y", "abc"`}, true},
		{"inside another tag", []string{`"x,"abc","`}, false},
		{"not closed", []string{`"abc`}, false},
		{"not quoted", []string{`abc`}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := notModified(http.Header{"If-None-Match": tt.header}, etag); got != tt.want {
				t.Errorf("notModified(%q) = %v, want %v", tt.header, got, tt.want)
			}
		})
	}
}

// FuzzNotModified checks that a tag is found behind any other well-formed one,
// and that nothing makes the walk hang or panic.
func FuzzNotModified(f *testing.F) {
	f.Add("abc", `W/"x", "y"`)
	f.Add("a,b", `*`)
	f.Add("", `"`)
	f.Fuzz(func(t *testing.T, tag, rest string) {
		matchesTag(rest, `W/"abc"`)
		for _, c := range []byte(tag) {
			if c == '"' {
				return
			}
		}
		if !matchesTag(`W/"`+tag+`" , "abc"`, `"abc"`) {
			t.Errorf("not found behind %q", tag)
		}
	})
}

func TestWantsRevalidation(t *testing.T) {
	tests := []struct {
		name   string
		header http.Header
		want   bool
	}{
		{"none", nil, false},
		{"no-cache", http.Header{"Cache-Control": {"no-cache"}}, true},
		{"among others", http.Header{"Cache-Control": {"max-age=0, No-Cache"}}, true},
		{"max-age", http.Header{"Cache-Control": {"max-age=0"}}, false},
		{"Pragma", http.Header{"Pragma": {"no-cache"}}, true},
		{"Cache-Control wins over Pragma", http.Header{"Cache-Control": {"max-age=60"}, "Pragma": {"no-cache"}}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := wantsRevalidation(tt.header); got != tt.want {
				t.Errorf("wantsRevalidation = %v, want %v", got, tt.want)
			}
		})
	}
}
