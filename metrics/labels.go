package metrics

// Other and None are what a label says where the caller's value is not in its
// set: Other for a value that the set lacks, None for no value at all.
const (
	Other = "other"
	None  = "none"
)

// Routes returns the values of the label "route".
func Routes() []string {
	return []string{
		"packument", "version", "tarball", "dist-tags", "search", "audit", "keys", "attestations",
		"publish", "star", "access", "account", "web",
		"ping", "health", "metrics", "root", Other,
	}
}

// Results returns the values of the label "result", which are those of the
// header X-Larder-Cache and None for an answer without one.
func Results() []string {
	return []string{"hit", "miss", "revalidated", "stale", "hosted", "bypass", None, Other}
}

// class is the label "class": a status by its first digit, but a client that
// hung up before its answer (499 in the log) by a class of its own, because
// it is nobody's error.
type class uint8

const (
	class2xx class = iota
	class3xx
	class4xx
	class5xx
	classCanceled
	classes
)

// statusCanceled is nginx's code for a request whose client went away.
const statusCanceled = 499

func classOf(status int) class {
	switch {
	case status == statusCanceled:
		return classCanceled
	case status < 300:
		return class2xx
	case status < 400:
		return class3xx
	case status < 500:
		return class4xx
	}
	return class5xx
}

func (c class) String() string {
	return [classes]string{"2xx", "3xx", "4xx", "5xx", "canceled"}[c]
}

func connectionBounds() []string { return []string{"waited", "idle_closed", "refused", Other} }

func loadOutcomes() []string { return []string{"ok", "failed"} }

func fillOutcomes() []string {
	return []string{"stored", "failed", "aborted", "passed", Other}
}

func storeOps() []string {
	return []string{"open", "create", "write", "commit", "delete", "walk", Other}
}

// evictReasons are why the cache removes files: its own size, the volume's free
// space, their age, or that they are of no use.
func evictReasons() []string {
	return []string{"size", "free", "age", "orphan", Other}
}

func upstreamKinds() []string {
	return []string{"document", "tarball", "probe", Other}
}

func upstreamOutcomes() []string {
	return []string{"ok", "not_modified", "not_found", "refused", "error", "bad", "held_back", "timeout", "unreachable", "canceled", Other}
}

func takedownEvidence() []string {
	return []string{"time", "unpublished", "absence", "vanished", "tarball", Other}
}
