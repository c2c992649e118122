package main

import (
	"bufio"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"

	"larder/upstream"
)

const (
	// heapPercent is how much of the memory that it may have Go's runtime is told
	// to stay below. The rest is for what it does not count: the program itself,
	// and what the kernel holds for its sockets.
	heapPercent = 80
	// documentShare is the part of that which finished documents may have in
	// memory, one in so many bytes; unpackedShare is it for unpacked ones of all
	// upstreams. Rendering takes about as much again.
	documentShare = 4
	unpackedShare = 3
)

// memory says how much of it the process may use, and for what, in bytes.
type memory struct {
	available int64  // 0: unknown
	from      string // what says so
	limit     int64  // for Go's runtime; 0: none
	wanted    int64  // cache.memory
	documents int64  // finished documents: what is kept of it
	unpacked  int64  // documents of each upstream that are rendered
	ballast   int64  // see paceCollector; 0: none
}

// memoryFor divides the memory that this process may have, and tells Go's runtime.
// GOMEMLIMIT and GOGC win, as everywhere.
func memoryFor(s *settings) memory {
	if os.Getenv("GOMEMLIMIT") != "" {
		m := divide(s, debug.SetMemoryLimit(-1))
		m.from = "GOMEMLIMIT"
		return m
	}
	available, from := availableMemory(os.DirFS("/"))
	m := divide(s, available/100*heapPercent)
	m.available, m.from = available, from
	if m.limit > 0 {
		debug.SetMemoryLimit(m.limit)
	}
	return m
}

// divide divides a limit of Go's runtime. None is 0, or math.MaxInt64 as for the
// runtime.
func divide(s *settings, limit int64) memory {
	m := memory{limit: limit, wanted: int64(s.Cache.Memory), unpacked: upstream.DocumentMemory, ballast: maxBallast}
	m.documents = m.wanted
	if os.Getenv("GOGC") != "" {
		m.ballast = 0 // who sets it knows what they want
	}
	if limit <= 0 || limit == math.MaxInt64 {
		m.limit = 0
		return m
	}
	if s.origins.of("cache.memory").by == byDefault {
		m.documents = min(m.documents, limit/documentShare)
	}
	m.unpacked = min(m.unpacked, limit/unpackedShare/int64(max(len(s.Upstreams), 1)))
	m.ballast = min(m.ballast, limit/ballastShare)
	return m
}

// announce says what was chosen, and what is less than it would be elsewhere.
func (m memory) announce(log *slog.Logger) {
	if m.limit == 0 {
		return
	}
	log.Info("memory", "available", m.available>>20, "from", m.from, "limit", m.limit>>20, "unit", "MiB")
	if m.documents < m.wanted || m.unpacked < upstream.DocumentMemory {
		log.Warn("there is little memory: less of it is used for documents, and big ones are rendered one after the other",
			"cache.memory", m.documents>>20, "unpacked_of_each_upstream", m.unpacked>>20, "unit", "MiB")
	}
	if m.documents > m.limit/2 {
		log.Warn("cache.memory is more than half of the memory that there is", "cache.memory", m.documents>>20, "limit", m.limit>>20, "unit", "MiB")
	}
}

// availableMemory returns how much memory this process may use at most: the
// machine's, or the least of what bounds its control group and those above.
// root is the file system's. What cannot be read bounds nothing, so that
// elsewhere than on Linux the answer is 0.
func availableMemory(root fs.FS) (bytes int64, from string) {
	bytes, from = physicalMemory(root), "machine"
	lines(root, "proc/self/cgroup", func(line string) {
		// "0::/path" is version 2, "4:cpu,memory:/path" is version 1. In a
		// container the path may be the one outside: then the directories that are
		// missing are skipped, and the container's own is the topmost.
		parts := strings.SplitN(line, ":", 3)
		if len(parts) < 3 {
			return
		}
		base, names := "sys/fs/cgroup", []string{"memory.max", "memory.high"}
		if parts[1] != "" {
			base, names = "sys/fs/cgroup/memory", []string{"memory.limit_in_bytes"}
		}
		if parts[1] != "" && !strings.Contains(","+parts[1]+",", ",memory,") {
			return
		}
		for dir := path.Clean("/" + parts[2]); ; dir = path.Dir(dir) {
			for _, name := range names {
				text, _ := fs.ReadFile(root, path.Join(base, dir, name))
				n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
				if err == nil && n > 0 && (n < bytes || bytes == 0 && n < math.MaxInt64/2) {
					bytes, from = n, "cgroup"
				}
			}
			if dir == "/" {
				return
			}
		}
	})
	return bytes, from
}

// physicalMemory returns the machine's memory in bytes, 0 where it is unknown.
func physicalMemory(root fs.FS) (bytes int64) {
	lines(root, "proc/meminfo", func(line string) {
		if rest, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			bytes = kib << 10
		}
	})
	return bytes
}

// lines calls fn for each line of a file that can be read.
func lines(root fs.FS, name string, fn func(line string)) {
	f, err := root.Open(name)
	if err != nil {
		return
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		fn(s.Text())
	}
}
