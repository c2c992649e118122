package npm

import "strings"

// maxNewName is the longest name of a new package in bytes.
const maxNewName = 214

// CheckNewName reports whether name may be given to a package that does not
// exist yet: CheckName, and what npm has demanded of new packages since 2014
// (validForNewPackages of validate-npm-package-name 8.0.0, as npm 12 has it).
// Packages that exist keep their names. The error's kind is Invalid.
func CheckNewName(name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if why := newNameFault(name); why != "" {
		return invalidf("npm.CheckNewName", "%.80q is not a name for a new package: %s", name, why)
	}
	return nil
}

// newNameFault returns the rule for new packages that name breaks, or "".
func newNameFault(name string) string {
	switch {
	case len(name) > maxNewName:
		return "it is longer than 214 characters"
	case strings.ToLower(name) != name:
		return "it has capital letters"
	case strings.ContainsAny(Basename(name), "~'!()*"): // a scope may have them
		return "it has one of the characters ~'!()*"
	case isCoreModule(name):
		return "it is the name of a core module of Node"
	}
	return ""
}

// isCoreModule reports whether name is one that require resolves without
// looking for a package. The list is the one that validate-npm-package-name
// 8.0.0 carries, without the names that have a slash or a colon.
func isCoreModule(name string) bool {
	switch name {
	case "_http_agent", "_http_client", "_http_common", "_http_incoming", "_http_outgoing", "_http_server",
		"_stream_duplex", "_stream_passthrough", "_stream_readable", "_stream_transform", "_stream_wrap",
		"_stream_writable", "_tls_common", "_tls_wrap",
		"assert", "async_hooks", "buffer", "child_process", "cluster", "console", "constants", "crypto", "dgram",
		"diagnostics_channel", "dns", "domain", "events", "fs", "http", "http2", "https", "inspector", "module",
		"net", "os", "path", "perf_hooks", "process", "punycode", "querystring", "readline", "repl", "stream",
		"string_decoder", "sys", "timers", "tls", "trace_events", "tty", "url", "util", "v8", "vm", "wasi",
		"worker_threads", "zlib":
		return true
	}
	return false
}
