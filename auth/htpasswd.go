package auth

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// htpasswd is the file of accounts in Apache's format, one NAME:HASH a line,
// perhaps with further fields (Verdaccio adds ":autocreated DATE"). It is
// immutable: edits return a new one, in which every byte that they are not
// about is where it was, comments and lines that make no sense to us too.
type htpasswd struct {
	lines    []string       // with their line ends
	accounts map[string]int // the first line of each name, which is the one that counts, as for Apache
}

// parseHtpasswd reads a file. Nothing is an error: what is no account is kept.
func parseHtpasswd(raw string) *htpasswd {
	h := &htpasswd{accounts: make(map[string]int)}
	for line := range strings.SplitAfterSeq(raw, "\n") {
		if line == "" {
			continue // behind the last line end
		}
		h.lines = append(h.lines, line)
	}
	for i, line := range h.lines {
		name, _, _, ok := splitLine(line)
		if _, twice := h.accounts[name]; ok && !twice {
			h.accounts[name] = i
		}
	}
	return h
}

// splitLine returns an account's name and hash and what follows them, line end
// included. A hash that cannot be verified still makes an account: its name is
// taken.
func splitLine(line string) (name, hash, rest string, ok bool) {
	name, fields, ok := strings.Cut(line, ":")
	if !ok || name == "" || name[0] == '#' || len(name) > maxUserName || !utf8.ValidString(name) ||
		strings.ContainsFunc(name, unicode.IsControl) {
		return "", "", "", false
	}
	end := strings.IndexAny(fields, ":\r\n")
	if end < 0 {
		end = len(fields)
	}
	return name, fields[:end], fields[end:], true
}

// hash returns a user's hash.
func (h *htpasswd) hash(user string) (hash string, ok bool) {
	i, ok := h.accounts[user]
	if ok {
		_, hash, _, _ = splitLine(h.lines[i])
	}
	return hash, ok
}

// similar returns the account whose name is user's but for the case, or "".
func (h *htpasswd) similar(user string) string {
	for name := range h.accounts {
		if strings.EqualFold(name, user) {
			return name
		}
	}
	return ""
}

// with returns the file with user's hash replaced, or a line appended.
func (h *htpasswd) with(user, hash string) *htpasswd {
	lines := append([]string(nil), h.lines...)
	if i, ok := h.accounts[user]; ok {
		_, _, rest, _ := splitLine(lines[i])
		lines[i] = user + ":" + hash + rest
	} else {
		if n := len(lines); n > 0 && !strings.HasSuffix(lines[n-1], "\n") {
			lines[n-1] += "\n"
		}
		lines = append(lines, user+":"+hash+"\n")
	}
	return parseHtpasswd(strings.Join(lines, ""))
}

// without returns the file without user: without every line of that name,
// since the second one would count once the first is gone.
func (h *htpasswd) without(user string) *htpasswd {
	var kept strings.Builder
	for _, line := range h.lines {
		if name, _, _, ok := splitLine(line); !ok || name != user {
			kept.WriteString(line)
		}
	}
	return parseHtpasswd(kept.String())
}

// String returns the file's content.
func (h *htpasswd) String() string { return strings.Join(h.lines, "") }
