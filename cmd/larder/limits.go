package main

import (
	"log/slog"
	"math"

	"golang.org/x/sys/unix"

	"larder/proxy"
)

const (
	// maxConnections is how many clients' connections there are at most where
	// nobody has said otherwise: each costs some 20 KB of memory while it is idle.
	maxConnections = 10_000
	// maxFills is how many tarballs are fetched at once at most.
	maxFills = 256
	// ownDescriptors are what Larder itself keeps open, or opens for a moment:
	// listeners, the log, the lock, the journal, accounts, probes.
	ownDescriptors = 24
	// fewDescriptors is the limit below which the log says what follows from it.
	fewDescriptors = 4096
)

// shares are what may be open at once of each thing that takes descriptors, so
// that a process with few of them makes clients wait and does not fail them.
type shares struct {
	connections int // each with a file that is sent, so two descriptors
	fills       int // each with two views of its file
	upstream    int // requests to each upstream, apart for documents and for tarballs
}

// share divides a limit on descriptors: a half for clients, an eighth for fills,
// a quarter for upstreams, and the rest for what is opened for a moment.
func share(descriptors, upstreams int) shares {
	n := max(descriptors-ownDescriptors, 0)
	return shares{
		connections: min(max(n/4, 4), maxConnections),
		fills:       min(max(n/16, 1), maxFills),
		upstream:    min(max(n/(8*max(upstreams, 1)), 1), maxConcurrency),
	}
}

// descriptors returns how many this process may have open.
func descriptors() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > math.MaxInt32 {
		return math.MaxInt32
	}
	return int(limit.Cur)
}

// sharesFor is share for this process, with what is configured.
func sharesFor(s *settings, log *slog.Logger) shares {
	n := descriptors()
	sh := share(n, len(s.Upstreams))
	if own := s.Limits.Connections; own > 0 {
		if own > sh.connections && n < fewDescriptors {
			log.Warn("limits.connections is more than the limit on open files allows for", "connections", own, "descriptors", n, "allows", sh.connections)
		}
		sh.connections = own
	}
	if n < fewDescriptors {
		log.Warn("few files may be open at once, so clients may have to wait: raise the limit (ulimit -n, LimitNOFILE=)",
			"descriptors", n, "connections", sh.connections, "downloads", sh.fills, "upstream_requests", sh.upstream)
	}
	return sh
}

// connections returns the bounds on clients' connections.
func (srv *server) connections(s *settings) proxy.ConnectionsConfig {
	return proxy.ConnectionsConfig{
		Max:       srv.shares.connections,
		PerClient: s.Limits.ConnectionsPerClient,
		Trusted:   prefixes(s.TrustedProxies),
		Metrics:   srv.metrics,
		Log:       srv.log,
	}
}

// checkLimits is part of check.
func (l *loader) checkLimits() {
	if n := l.Limits.Connections; n != 0 && (n < minConnections || n > 1_000_000) {
		l.bad("limits.connections", "must be from %d to 1000000, or 0", minConnections)
	}
	if n := l.Limits.ConnectionsPerClient; n < 0 || n > 1_000_000 {
		l.bad("limits.connections_per_client", "must be from 0 to 1000000")
	}
	if d := l.Limits.ShutdownDelay; d < 0 {
		l.bad("limits.shutdown_delay", "must not be negative")
	}
	if d := l.Limits.LockWait; d < 0 {
		l.bad("limits.lock_wait", "must not be negative")
	}
}

// minConnections is the least that may be configured.
const minConnections = 4
