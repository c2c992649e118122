// Command bench measures Larder beside what people would use in its place:
// nginx's proxy_cache, pnpr and Verdaccio, all before the same upstream
// (package registry), in interleaved rounds.
//
//	go run ./test/bench run       measures; prints a table, and writes JSON
//	go run ./test/bench render    makes docs/BENCHMARKS.md of the JSON
//	go run ./test/bench compare   says what differs between two JSON files, and how surely
//	go run ./test/bench peers     installs the peers, pinned
//
// Where things are: hits.go is the table of cases on a warm cache; each part of
// a run is a file measure_ and its name, of which the one with a million files
// needs -millions; each server is a file named after it; process.go is the one place that reads the kernel's
// figures; all results are a [Figure].
package main
