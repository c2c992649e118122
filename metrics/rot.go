package metrics

import "github.com/prometheus/client_golang/prometheus"

// rot are the metrics of bytes that change on disk.
type rot struct {
	files map[string]map[string]prometheus.Counter // by store, then by where
}

func newRot(f factory) rot {
	files := f.counterVec("rotten_files_total", "Files that had changed on disk, by store and by what found them.", "store", "where")
	r := rot{files: make(map[string]map[string]prometheus.Counter)}
	for _, s := range rotStores() {
		r.files[s] = bind(files, rotFinders(), s)
	}
	return r
}

func rotStores() []string { return []string{"cache", "hosted", Other} }

func rotFinders() []string { return []string{"read", "scrub", "verify", Other} }
