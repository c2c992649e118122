package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// Figure is one thing that was measured on one server, once a round.
type Figure struct {
	Section string    `json:"section"`          // "hits"
	Case    string    `json:"case"`             // "express full, gzip (32)"
	Server  string    `json:"server"`           // "nginx"
	Name    string    `json:"name"`             // "rate"
	Unit    string    `json:"unit"`             // "1/s"
	Higher  bool      `json:"higher,omitempty"` // higher is better
	Values  []float64 `json:"values"`           // one per round
}

// Report is what a run leaves behind. Tables, docs/BENCHMARKS.md and
// comparisons are made of it alone.
type Report struct {
	Machine  Machine           `json:"machine"`
	Versions map[string]string `json:"versions"` // by server, and of the tools
	Missing  map[string]string `json:"missing"`  // why a server was not measured
	Commands []string          `json:"commands"` // that led here
	Started  time.Time         `json:"started"`
	Took     time.Duration     `json:"took"`  // ns
	Notes    []string          `json:"notes"` // what a reader must know of single figures
	Figures  []Figure          `json:"figures"`
}

// Add enters the value of one round.
func (r *Report) Add(f Figure, value float64) {
	for i := range r.Figures {
		if sameFigure(r.Figures[i], f) {
			r.Figures[i].Values = append(r.Figures[i].Values, value)
			return
		}
	}
	f.Values = []float64{value}
	r.Figures = append(r.Figures, f)
}

// Find returns the figure of that place and name, or nil.
func (r *Report) Find(section, name, cas, server string) *Figure {
	for i := range r.Figures {
		if f := &r.Figures[i]; f.Section == section && f.Name == name && f.Case == cas && f.Server == server {
			return f
		}
	}
	return nil
}

func sameFigure(a, b Figure) bool {
	return a.Section == b.Section && a.Case == b.Case && a.Server == b.Server && a.Name == b.Name
}

// Note enters a remark, once.
func (r *Report) Note(format string, args ...any) {
	note := fmt.Sprintf(format, args...)
	for _, n := range r.Notes {
		if n == note {
			return
		}
	}
	r.Notes = append(r.Notes, note)
}

// Save writes the report to a file as JSON.
func (r *Report) Save(file string) error {
	data, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(data, '\n'), 0o644)
}

// LoadReport reads what Save wrote.
func LoadReport(file string) (*Report, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r := new(Report)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}
