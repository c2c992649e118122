package metrics

import "github.com/prometheus/client_golang/prometheus"

// requests are the metrics of what clients ask.
type requests struct {
	inFlight prometheus.Gauge
	stalled  prometheus.Counter
	routes   map[string]routeMetrics
}

type routeMetrics struct {
	classes  [classes]prometheus.Counter
	results  map[string]prometheus.Counter
	bytes    prometheus.Counter
	duration prometheus.Observer
}

// newRequests counts statuses and cache results apart: as one vector they
// would be five hundred series, most of them impossible.
func newRequests(f factory) requests {
	statuses := f.counterVec("requests_total", "Requests answered, by route and class of status.", "route", "class")
	results := f.counterVec("request_cache_results_total", "Requests answered, by route and value of X-Larder-Cache.", "route", "result")
	bytes := f.counterVec("response_bytes_total", "Body bytes sent to clients.", "route")
	duration := f.histogramVec("request_duration_seconds", "Time from a request's header to the end of its response.", latencies(), "route")

	r := requests{
		inFlight: f.gauge("requests_in_flight", "Requests being answered."),
		stalled:  f.counter("responses_stalled_total", "Responses broken off because the client stopped taking them."),
		routes:   make(map[string]routeMetrics),
	}
	for _, route := range Routes() {
		m := routeMetrics{
			results:  bind(results, Results(), route),
			bytes:    bytes.WithLabelValues(route),
			duration: duration.WithLabelValues(route),
		}
		for c := range classes {
			m.classes[c] = statuses.WithLabelValues(route, c.String())
		}
		r.routes[route] = m
	}
	return r
}

// connections are the metrics of clients' connections.
type connections struct {
	open    prometheus.Gauge
	bounded map[string]prometheus.Counter
}

func newConnections(f factory) connections {
	return connections{
		open:    f.gauge("connections", "Connections of clients that are open."),
		bounded: bind(f.counterVec("connections_bounded_total", "What the bounds on connections did: one waited for a place, was closed while idle, or was refused.", "how"), connectionBounds()),
	}
}

// fills are the metrics of tarballs on their way into the store.
type fills struct {
	started, resumed, integrity, bytes prometheus.Counter
	ended                              map[string]prometheus.Counter
	inFlight                           prometheus.Gauge
	duration                           prometheus.Histogram
}

func newFills(f factory) fills {
	return fills{
		started:   f.counter("fills_started_total", "Blob fills begun."),
		resumed:   f.counter("fills_resumed_total", "Broken downloads taken up again."),
		integrity: f.counter("integrity_failures_total", "Blobs whose bytes were not what they had to be."),
		bytes:     f.counter("fill_bytes_total", "Bytes of ended blob fills."),
		ended:     bind(f.counterVec("fills_ended_total", "Blob fills ended, by outcome.", "outcome"), fillOutcomes()),
		inFlight:  f.gauge("fills_in_flight", "Blob fills running."),
		duration:  f.histogram("fill_duration_seconds", "Time from the begin of a blob fill to its end.", latencies()),
	}
}

// store are the metrics of the disk.
type store struct {
	errors                               map[string]prometheus.Counter
	bytes, files                         prometheus.Gauge
	used, reserved, capacity, free, full prometheus.Gauge
	evictedFiles, evictedBytes           map[string]prometheus.Counter
	refused                              prometheus.Counter
	memory                               prometheus.Gauge
}

func newStore(f factory) store {
	return store{
		errors: bind(f.counterVec("store_errors_total", "Failed operations of the cache's store.", "op"), storeOps()),
		bytes:  f.gauge("store_bytes", "Bytes held by the cache's store."),
		files:  f.gauge("store_files", "Files held by the cache's store."),

		used:         f.gauge("store_used_bytes", "Bytes that the cache takes on its volume, about: what counts against store_capacity_bytes."),
		reserved:     f.gauge("store_reserved_bytes", "Bytes set aside for what is being stored."),
		capacity:     f.gauge("store_capacity_bytes", "The bound on the cache's size, cache.max_size; 0: none."),
		free:         f.gauge("store_free_bytes", "Bytes free on the cache's volume, where cache.min_free is watched."),
		full:         f.gauge("store_full", "1 while the cache stores nothing because it is full and nothing in it can go."),
		evictedFiles: bind(f.counterVec("store_evicted_files_total", "Files that the cache removed by itself, by reason.", "reason"), evictReasons()),
		evictedBytes: bind(f.counterVec("store_evicted_bytes_total", "Bytes in files that the cache removed by itself, by reason.", "reason"), evictReasons()),
		refused:      f.counter("store_refused_total", "Objects that were not stored because there was no room."),
		memory:       f.gauge("tarball_memory_bytes", "Bytes of small tarballs held in memory."),
	}
}

// render are the metrics of finished documents.
type render struct {
	bytes    prometheus.Counter
	refined  prometheus.Counter
	memory   prometheus.Gauge
	duration prometheus.Histogram
}

func newRender(f factory) render {
	return render{
		bytes:    f.counter("rendered_bytes_total", "Identity bytes of documents that were rendered."),
		refined:  f.counter("documents_refined_total", "Finished documents that were packed again, better, because they are asked for often."),
		memory:   f.gauge("document_memory_bytes", "Bytes of finished documents held in memory."),
		duration: f.histogram("render_duration_seconds", "Time to render and pack one document.", latencies()),
	}
}
