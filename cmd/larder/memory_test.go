package main

import (
	"fmt"
	"math"
	"runtime/debug"
	"testing"
	"testing/fstest"

	"larder/upstream"
)

func TestAvailableMemory(t *testing.T) {
	const meminfo = "MemTotal:        2000000 kB\nMemFree:          100000 kB\n"
	tests := []struct {
		name  string
		files map[string]string
		want  int64
		from  string
	}{
		{"nothing to be read", nil, 0, "machine"},
		{"the machine", map[string]string{"proc/meminfo": meminfo}, 2_000_000 << 10, "machine"},
		{"version 2, in a container", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "268435456\n", "sys/fs/cgroup/memory.high": "max\n",
		}, 256 << 20, "cgroup"},
		{"version 2, a unit of systemd below a bounded slice", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/system.slice/larder.service\n",
			"sys/fs/cgroup/system.slice/larder.service/memory.max": "max\n", "sys/fs/cgroup/system.slice/larder.service/memory.high": "400000000\n",
			"sys/fs/cgroup/system.slice/memory.max": "300000000\n",
		}, 300_000_000, "cgroup"},
		{"version 2, no bound", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "max\n",
		}, 2_000_000 << 10, "machine"},
		{"version 2, more than there is", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "4000000000\n",
		}, 2_000_000 << 10, "machine"},
		{"version 1, under the path outside the container", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "5:cpuset:/docker/1\n4:cpu,memory:/docker/1\n0::/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "134217728\n",
		}, 128 << 20, "cgroup"},
		{"version 1, no bound", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "4:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, 2_000_000 << 10, "machine"},
		{"version 1, no bound and no machine", map[string]string{
			"proc/self/cgroup": "4:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, 0, "machine"},
		{"a path out of the tree, and rubbish", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "rubbish\n0::/../../a\n", "sys/fs/cgroup/a/memory.max": "lots\n", "sys/fs/cgroup/memory.max": "-1\n",
		}, 2_000_000 << 10, "machine"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := make(fstest.MapFS)
			for name, text := range tt.files {
				root[name] = &fstest.MapFile{Data: []byte(text)}
			}
			if got, from := availableMemory(root); got != tt.want || from != tt.from {
				t.Errorf("%d of the %s, want %d of the %s", got, from, tt.want, tt.from)
			}
		})
	}
}

func TestMemoryIsDivided(t *testing.T) {
	t.Setenv("GOGC", "")
	const mib = 1 << 20
	defaultMemory := int64(defaults().Cache.Memory)
	tests := []struct {
		name      string
		file      string
		limit     int64
		documents int64
		unpacked  int64
		ballast   int64
	}{
		{"unknown", "", 0, defaultMemory, upstream.DocumentMemory, maxBallast},
		{"no limit", "", math.MaxInt64, defaultMemory, upstream.DocumentMemory, maxBallast},
		{"plenty", "", 2048 * mib, defaultMemory, upstream.DocumentMemory, maxBallast},
		{"a small container", "", 192 * mib, 48 * mib, 64 * mib, 12 * mib},
		{"with more upstreams", "upstreams: [{name: a, match: [a], urls: ['http://a/']}, {name: b, urls: ['http://b/']}]", 192 * mib, 48 * mib, 32 * mib, 12 * mib},
		{"with none", "upstreams: []", 192 * mib, 48 * mib, 64 * mib, 12 * mib},
		{"what was asked for stays", "cache: {memory: 100MiB}", 192 * mib, 100 * mib, 64 * mib, 12 * mib},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := load(sources{file: write(t, "larder.yaml", tt.file+"\n")})
			if err != nil {
				t.Fatal(err)
			}
			m := divide(s, tt.limit)
			if m.documents != tt.documents || m.unpacked != tt.unpacked || m.ballast != tt.ballast {
				t.Errorf("%+v, want %+v", m, tt)
			}
		})
	}
}

// TestCollectorSettingsOfTheEnvironmentWin: the runtime itself has read them.
func TestCollectorSettingsOfTheEnvironmentWin(t *testing.T) {
	before := debug.SetMemoryLimit(300 << 20)
	defer debug.SetMemoryLimit(before)
	t.Setenv("GOMEMLIMIT", "300MiB")
	t.Setenv("GOGC", "100")
	m := memoryFor(&settings{Config: defaults()})
	if m.limit != 300<<20 || m.from != "GOMEMLIMIT" || m.ballast != 0 || debug.SetMemoryLimit(-1) != 300<<20 {
		t.Errorf("%+v, and the runtime's limit is %d", m, debug.SetMemoryLimit(-1))
	}
	t.Setenv("GOMEMLIMIT", "")
	m = memoryFor(&settings{Config: defaults()})
	if m.available == 0 {
		t.Skip("this system does not tell its memory")
	}
	if want := m.available / 100 * heapPercent; m.limit != want || debug.SetMemoryLimit(-1) != want {
		t.Errorf("%+v, and the runtime's limit is %d", m, debug.SetMemoryLimit(-1))
	}
}

func TestLittleMemoryIsWarnedAbout(t *testing.T) {
	for _, tt := range []struct{ limit, memory, want string }{
		{"", "", `limit=`},
		{"100MiB", "", `cache.memory=25 unpacked_of_each_upstream=33 unit=MiB`},
		{"100MiB", "60MiB", `"cache.memory is more than half of the memory that there is" cache.memory=60 limit=100`},
	} {
		t.Run(fmt.Sprint(tt.limit, tt.memory), func(t *testing.T) {
			t.Setenv("GOMEMLIMIT", tt.limit)
			if tt.limit != "" {
				defer debug.SetMemoryLimit(debug.SetMemoryLimit(100 << 20))
			}
			larder, stop := launch(t, []string{"LARDER_CACHE_MEMORY=" + tt.memory}, serveArgs(t, "http://127.0.0.1:1/")...)
			larder.waitFor(tt.want)
			stop()
			larder.exit()
		})
	}
}
