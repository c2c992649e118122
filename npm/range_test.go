package npm

import (
	"strings"
	"testing"
)

// Each row was checked against node-semver 7.8.5 without options; what they
// probe is after its own tests (ISC licence).
var rangeRows = []struct {
	what, in string
	yes, no  string // versions that are and are not in the range
}{
	{"an exact version", "1.2.3", "1.2.3 1.2.3+b", "1.2.4 1.2.2 1.2.3-rc"},
	{"an equals sign", "=1.2.3", "1.2.3", "1.2.4"},
	{"a v", "v1.2.3", "1.2.3", "1.2.4"},
	{"an equals sign and a v", "=v1.2.3", "1.2.3", "1.2.4"},
	{"an exact pre-release", "1.2.3-rc.1", "1.2.3-rc.1 1.2.3-rc.1+b", "1.2.3-rc.2 1.2.3"},
	{"build is ignored", "1.2.3+b", "1.2.3 1.2.3+c", "1.2.4"},

	{"empty", "", "0.0.0 1.0.0 99.0.0", "1.0.0-rc"},
	{"white space", " \t ", "1.0.0", "1.0.0-rc"},
	{"star", "*", "0.0.0 1.0.0", "1.0.0-rc"},
	{"x", "x", "1.0.0", "1.0.0-rc"},
	{"X.X.X", "X.X.X", "1.0.0", "1.0.0-rc"},
	{"any by a bound", ">=*", "0.2.4", "0.2.4-a"},
	{"nothing is more than everything", ">*", "", "0.0.0 1.0.0 0.0.0-0"},
	{"nothing is less than everything", "<x", "", "0.0.0 1.0.0 0.0.0-0"},
	{"at most everything", "<=X", "1.0.0", "1.0.0-rc"},

	{"major", "2", "2.0.0 2.1.3", "1.9.9 3.0.0 2.0.0-rc 3.0.0-0"},
	{"major x", "2.x", "2.0.0 2.1.3", "1.9.9 3.0.0"},
	{"major x x", "2.*.X", "2.0.0 2.1.3", "1.9.9 3.0.0"},
	{"minor", "2.3", "2.3.0 2.3.9", "2.2.9 2.4.0 2.3.1-rc"},
	{"minor x", "2.3.x", "2.3.0 2.3.9", "2.2.9 2.4.0"},
	{"equals a partial", "==0.7.x", "0.7.2", "0.8.0 0.7.0-a"},
	{"a pre-release of a wildcard is ignored", "1.2.x-rc", "1.2.0", "1.2.0-rc 1.3.0"},
	{"the build of a partial is ignored", "1.x+b.1", "1.9.0", "2.0.0"},

	{"more", ">1.2.3", "1.2.4 2.0.0", "1.2.3 1.2.3-rc 1.2.4-rc"},
	{"more than a major", ">1", "2.0.0 3.1.0", "1.9.9 2.0.0-rc"},
	{"more than a minor", ">1.2", "1.3.0", "1.2.8 1.3.0-beta"},
	{"more than a pre-release", ">1.2.3-rc.1", "1.2.3-rc.2 1.2.3 2.0.0", "1.2.3-rc.1 1.2.4-rc"},
	{"at least", ">=1.2.3", "1.2.3 9.0.0", "1.2.2 1.2.3-rc"},
	{"at least a partial", ">=1.2", "1.2.0 2.0.0", "1.1.9 1.2.0-rc"},
	{"at least v", ">=v1.2.3", "1.2.3", "1.2.2"},
	{"less", "<2.0.0", "1.9999.9999 0.0.0", "2.0.0 2.0.0-rc 1.9.9-rc"},
	{"less than a major", "<1", "0.9.9", "1.0.0 1.0.0-beta 1.0.0-0"},
	{"less than a minor", "<1.2", "1.1.9", "1.2.0 1.2.0-0"},
	{"less than a pre-release", "<1.2.3-rc.2", "1.2.3-rc.1 1.2.2", "1.2.3-rc.2 1.2.3 1.2.2-rc"},
	{"at most", "<=2.0.0", "2.0.0 0.2.9", "2.0.1 2.0.0-rc"},
	{"at most a major", "<=7.x", "7.9.9", "8.0.0 8.0.0-0"},
	{"at most a minor", "<=0.7.x", "0.7.2 0.6.2", "0.8.0 0.7.0-a"},

	{"caret", "^1.2.3", "1.2.3 1.8.1", "1.2.2 2.0.0 1.2.3-beta 2.0.0-0 1.3.0-a"},
	{"caret, minor first", "^0.1.2", "0.1.2 0.1.9", "0.1.1 0.2.0 0.2.0-0"},
	{"caret, patch first", "^0.0.1", "0.0.1", "0.0.0 0.0.2 0.0.2-alpha"},
	{"caret of zero", "^0.0.0", "0.0.0", "0.0.1"},
	{"caret of a major", "^1", "1.0.0 1.9.9", "2.0.0 0.9.9"},
	{"caret of major zero", "^0", "0.0.0 0.9.9", "1.0.0 1.0.0-0"},
	{"caret of a minor", "^1.2", "1.2.0 1.9.0", "1.1.9 2.0.0 1.2.0-pre"},
	{"caret of minor zero", "^0.0", "0.0.0 0.0.9", "0.1.0"},
	{"caret of 0.x", "^0.x", "0.0.0 0.9.9", "1.0.0"},
	{"caret of 0.1.x", "^0.1.x", "0.1.0 0.1.9", "0.2.0"},
	{"caret of everything", "^x", "1.2.3", "1.2.3-rc"},
	{"caret of a pre-release", "^1.2.3-alpha", "1.2.3-alpha 1.2.3-pre 1.2.3 1.5.0", "1.2.3-0 1.2.4-alpha 1.5.0-beta 2.0.0-0"},
	{"caret of 0.0.1's pre-release", "^0.0.1-beta", "0.0.1-beta 0.0.1", "0.0.1-alpha 0.0.2"},
	{"caret, v and a space", "^ v1.2.3", "1.2.3", "2.0.0"},
	{"caret is lenient with signs", "^=1.2.3", "1.8.1", "2.0.0"},
	{"caret skips a wildcard", "^1.x.5", "1.0.0", "2.0.0"},

	{"tilde", "~1.2.3", "1.2.3 1.2.9", "1.2.2 1.3.0 1.3.0-0"},
	{"tilde of a major", "~1", "1.0.0 1.9.9", "2.0.0 0.2.3"},
	{"tilde of a minor", "~2.4", "2.4.0 2.4.5", "2.5.0 2.3.9"},
	{"tilde of zero", "~0.0.1", "0.0.1 0.0.2", "0.1.0 0.1.0-alpha"},
	{"tilde and more", "~>3.2.1", "3.2.2", "3.3.2 3.2.0"},
	{"tilde, more and spaces", "~ > 3.2", "3.2.2", "3.3.0"},
	{"tilde of everything", "~x", "0.0.9", "0.0.9-a"},
	{"tilde of a pre-release", "~v0.5.4-pre", "0.5.4-pre 0.5.4 0.5.5", "0.5.4-alpha 0.5.5-pre 0.6.0"},
	{"tilde is lenient with signs", "~>=1.2.3", "1.2.9", "1.3.0"},

	{"hyphen", "1.0.0 - 2.0.0", "1.0.0 1.2.3 2.0.0", "0.9.9 2.0.1 2.0.0-rc"},
	{"hyphen to a partial", "1.2.3 - 3.4", "1.2.3 3.4.9", "1.2.2 3.5.0 3.5.0-0"},
	{"hyphen from a partial", "1.2 - 3.4.5", "1.2.0 3.4.5", "1.1.9 3.4.6 1.2.0-pre"},
	{"hyphen of majors", "1 - 2", "1.0.0 2.9.9", "0.9.9 3.0.0 2.0.0-pre"},
	{"hyphen from anything", "x - 1.x", "0.9.7 1.9.9", "2.0.0"},
	{"hyphen to anything", "1.x - x", "1.9.7 9.0.0", "0.9.9"},
	{"hyphen of pre-releases", "1.2.3-pre+a - 2.4.3-pre+b", "1.2.3 1.2.3-pre.2 2.4.3-alpha", "1.2.3-alpha 2.4.3 2.0.0-pre"},
	{"hyphen with v", "v1.0.0 - v2.0.0", "1.5.0", "2.0.1"},

	{"both hold", ">=1.2.1 <1.4.0", "1.2.1 1.3.9", "1.2.0 1.4.0"},
	{"spaces after operators", ">  1.2.3 <=\t2.0.0", "1.2.4 2.0.0", "1.2.3 2.0.1"},
	{"an operator in two pieces", "> =1.2.3", "1.2.3 2.0.0", "1.2.2"},
	{"tilde and exact", "~1.2.1 1.2.3", "1.2.3", "1.2.4 1.2.1"},
	{"two carets", "^1.2 ^1", "1.4.2", "1.1.0 2.0.0"},
	{"a contradiction", ">2.0.0 <1.0.0", "", "0.5.0 1.5.0 3.0.0"},
	{"a star beside a bound", "* >=1.2.3", "1.2.3", "1.2.2"},
	{"a pre-release needs its own tuple", ">=1.0.0 <1.1.0-pre", "1.0.0 1.1.0-alpha", "1.1.0-pre 1.0.1-alpha"},

	{"or", "0.1.20 || 1.2.4", "0.1.20 1.2.4", "1.2.3"},
	{"or without spaces", ">=0.2.3||<0.0.1", "0.0.0 0.2.3 0.2.4", "0.0.3 0.2.2"},
	{"or of nothing", "||", "1.3.4", "1.3.4-a"},
	{"or of everything", "1.2.3 || *", "9.9.9", "9.9.9-a"},
	{"everything swallows a pre-release's range", "* || >=1.2.3-alpha", "1.2.3", "1.2.3-beta"},
	{"so does zero or more", ">=0.0.0 || 1.2.3-alpha", "1.2.3", "1.2.3-alpha"},
	{"so does zero to anything", "0.0.0 - x || 1.2.3-alpha", "1.2.3", "1.2.3-alpha"},
	{"a pre-release is weighed by each alternative", "^1.0.0 || 2.0.0-rc.1", "1.5.0 2.0.0-rc.1", "1.5.0-rc.1 2.0.0"},

	{"the highest major", "=9007199254740991.0.0", "9007199254740991.0.0", "1.0.0"},
	{"a long build", "1.2.3+" + strings.Repeat("a", 300), "1.2.3", "1.2.4"},
}

func TestRange(t *testing.T) {
	for _, row := range rangeRows {
		t.Run(row.what, func(t *testing.T) {
			r, err := ParseRange(row.in)
			if err != nil {
				t.Fatal(err)
			}
			for versions, want := range map[string]bool{row.yes: true, row.no: false} {
				for s := range strings.FieldsSeq(versions) {
					v, err := ParseVersion(s)
					if err != nil {
						t.Fatal(err)
					}
					if got := r.Contains(v); got != want {
						t.Errorf("%q contains %s: %v, want %v", row.in, s, got, want)
					}
				}
			}
		})
	}
}

var badRangeRows = []struct{ what, in string }{
	{"a tag", "latest"},
	{"a URL", "https://registry.example/a.tgz"},
	{"a number after a wildcard", "1.x.5"},
	{"a number after a star", "1.*.5"},
	{"a bad alternative", "1.x.5 || 2.x"},
	{"a wildcard major", "x.1"},
	{"a wildcard and a patch", "x.x.1"},
	{"leading zeros", ">01.02.03"},
	{"a leading zero in a partial", ">=09090"},
	{"a loose pre-release", "~1.2.3beta"},
	{"a pre-release of a partial", "1.2-rc"},
	{"an empty pre-release", "1.2.3-"},
	{"four numbers", "1.2.3.4"},
	{"an operator alone", ">"},
	{"a caret alone", "^"},
	{"a bound past the highest major", "^9007199254740991.0.0"},
	{"more than the highest major", ">9007199254740991"},
	{"at most the highest minor", "<=1.9007199254740991"},
	{"a number past the highest", "9007199254740992.0.0"},
	{"two equals signs", "==1.2.3"},
	{"two carets", "^^1.2.3"},
	{"two operators", "><1.2.3"},
	{"not equal", "!=1.2.3"},
	{"an arrow", "=>1.2.3"},
	{"a comma", ">=1.0.0,<2.0.0"},
	{"no space between", ">=1.0.0<2.0.0"},
	{"one bar", "1.0.0 | 2.0.0"},
	{"a hyphen without spaces", "1.0.0 -2.0.0"},
	{"a hyphen of three", "1.0.0 - 2.0.0 - 3.0.0"},
	{"a hyphen with an operator", "^1.0.0 - 2.0.0"},
	{"a hyphen to nothing", "1.0.0 -"},
	{"a hyphen from a tag", "latest - 2.0.0"},
	{"a hyphen to a tag", "1.0.0 - latest"},
	{"an upper-case V", "V1.2.3"},
	{"a parenthesis", "(1.2.3)"},
	{"a version of 257 bytes", "^1.0.0-" + strings.Repeat("a", maxVersion-5)},
	{"too long", strings.Repeat(" ", maxRange) + "1"},
}

func TestParseRangeRefuses(t *testing.T) {
	for _, row := range badRangeRows {
		t.Run(row.what, func(t *testing.T) {
			if r, err := ParseRange(row.in); KindOf(err) != Invalid {
				t.Errorf("ParseRange(%.100q) = %v, %v, want kind %v", row.in, r, err, Invalid)
			}
		})
	}
}

func TestZeroRangeContainsNothing(t *testing.T) {
	if (Range{}).Contains(Version{Major: 1}) {
		t.Error("the zero Range contains 1.0.0")
	}
}

// No input panics; what parses obeys the laws that callers count on.
func FuzzRange(f *testing.F) {
	for _, row := range rangeRows {
		f.Add(row.in, "1.2.3")
	}
	for _, row := range badRangeRows {
		f.Add(row.in, "1.2.3-rc.1+b")
	}
	f.Fuzz(func(t *testing.T, s, version string) {
		v, err := ParseVersion(version)
		if err != nil {
			return
		}
		if exact, err := ParseRange(strings.TrimSpace(version)); err != nil || !exact.Contains(v) {
			t.Fatalf("%q as a range does not contain itself: %v", version, err)
		}
		r, err := ParseRange(s)
		if err != nil {
			return
		}
		if both, err := ParseRange(s + "||" + s); len(s) < maxRange/3 && (err != nil || both.Contains(v) != r.Contains(v)) {
			t.Fatalf("%q || itself differs at %q (%v)", s, version, err)
		}
		if none, err := ParseRange("<0.0.0-0||" + s); len(s) < maxRange/3 && (err != nil || none.Contains(v) != r.Contains(v)) {
			t.Fatalf("nothing || %q differs at %q (%v)", s, version, err)
		}
		v.Build = []string{"other"}
		built := r.Contains(v)
		v.Build = nil
		if built != r.Contains(v) {
			t.Fatalf("%q minds the build of %q", s, version)
		}
	})
}
