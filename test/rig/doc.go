// Package rig is the harness of tests that drive the built larder binary from
// outside. It builds the binary once per process ([Tested], [Plain]); starts,
// stops and kills servers ([Start], [Larder]); puts a registry, a Larder before
// it and an HTTP client together ([New], [Rig]); and runs real package managers
// against it, each in a HOME of its own and without a way out of this machine
// ([Rig.Install]).
//
// A package of tests that uses it calls [Main] from its TestMain.
package rig
