//go:build race

package rig

// RaceDetector tells whether the tests run under the race detector, and the
// binary of [Tested] with them.
const RaceDetector = true
