package npm

import "testing"

func TestFormOf(t *testing.T) {
	tests := []struct {
		name, accept string
		want         Form
	}{
		{"npm, yarn 1, pnpm, bun", "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*", Abbreviated},
		{"yarn 4", "", Full},
		{"deno", "*/*", Full},
		{"npm install", "application/json", Full},
		{"pnpm full", "application/json; q=1.0, */*", Full},
		{"bun with an age gate", "application/json, */*", Full},
		{"alone", "application/vnd.npm.install-v1+json", Abbreviated},
		{"upper case", "Application/VND.npm.install-v1+JSON", Abbreviated},
		{"the order does not matter", "*/*;q=0.1,application/json;q=0.8,application/vnd.npm.install-v1+json;q=0.9", Abbreviated},
		{"tab before the quality", "application/vnd.npm.install-v1+json;\tq=1.0, application/json;\tq=0.8", Abbreviated},
		{"equal", "application/vnd.npm.install-v1+json, application/json", Full},
		{"lower", "application/vnd.npm.install-v1+json; q=0.5, application/json; q=0.501", Full},
		{"higher in the third decimal", "application/vnd.npm.install-v1+json; q=0.502, application/json; q=0.501", Abbreviated},
		{"refused", "application/vnd.npm.install-v1+json; q=0", Full},
		{"full by wildcard", "application/vnd.npm.install-v1+json, */*", Full},
		{"full by half a wildcard", "application/vnd.npm.install-v1+json; q=0.9, application/*", Full},
		{"own quality before the wildcard's", "application/vnd.npm.install-v1+json; q=0.9, application/json; q=0.1, application/*, */*", Abbreviated},
		{"half a wildcard before the whole", "application/vnd.npm.install-v1+json; q=0.9, application/*; q=0.1, */*", Abbreviated},
		{"other parameters", "application/vnd.npm.install-v1+json; charset=utf-8; q=0.9, application/json; v=1; q=0.8", Abbreviated},
		{"quoted separators", `text/html; a="x,application/json;\"q=1", application/vnd.npm.install-v1+json; q=0.1`, Abbreviated},
		{"quality above one", "application/vnd.npm.install-v1+json; q=1.1", Full},
		{"quality of four decimals", "application/vnd.npm.install-v1+json; q=0.9999", Full},
		{"quality that is no number", "application/vnd.npm.install-v1+json; q=0.x", Full},
		{"quality lacking", "application/vnd.npm.install-v1+json; q=", Full},
		{"a longer type", "application/vnd.npm.install-v1+json-seq", Full},
		{"nothing but commas", ",,,", Full},
		{"quote that does not end", `text/html; a="application/vnd.npm.install-v1+json`, Full},
		{"backslash at the end", `text/html; a="\`, Full},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := FormOf(tt.accept); got != tt.want {
				t.Errorf("FormOf(%q) = %v, want %v", tt.accept, got, tt.want)
			}
		})
	}
}

func TestFormOfOwnMediaTypes(t *testing.T) {
	for _, form := range []Form{Full, Abbreviated} {
		if got := FormOf(form.MediaType()); got != form {
			t.Errorf("FormOf(%q) = %v, want %v", form.MediaType(), got, form)
		}
	}
}
