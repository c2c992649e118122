package test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"larder/test/rig"
)

const (
	crashRounds     = 20
	longCrashRounds = 300
	// crashWriters write to one package, and each to some of its own.
	crashWriters = 4
	// crashWithin is the time in which Larder is killed: enough for a few writes
	// of each writer.
	crashWithin = 150 * time.Millisecond
	// crashPackage is how many rounds a package lives for, so that its document
	// does not grow all the time.
	crashPackage = 10
)

// TestChecklist57_Crash kills Larder again and again while several clients
// publish, tag, deprecate and unpublish. Whenever it starts again, what was
// acknowledged must be there, what was not is there whole or not at all and
// can be done again, and no document may name a tarball that is not there.
func TestChecklist57_Crash(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts and kills dozens of servers")
	}
	seed, rounds := rig.Seed(t), crashRounds
	if rig.Long {
		rounds = longCrashRounds
	}
	p := newIdlePair(t, "LARDER_HOSTED_RESERVED=@crash/*", "LARDER_LOG_LEVEL=warn")
	p.binary = rig.Plain(t)
	p.start(t)
	alice := p.adduser(t, "alice")
	dice := rand.New(rand.NewPCG(seed, 0))
	var writers []*crashWriter
	var past []*crashWriter // of packages that nobody writes to any more
	for round := range rounds {
		if round%crashPackage == 0 {
			past = append(past, writers...)
			writers = newCrashWriters(t, p, alice, round, seed)
		}
		var clients sync.WaitGroup
		for _, w := range writers {
			clients.Go(w.run)
		}
		<-time.After(time.Duration(dice.Int64N(int64(crashWithin))))
		p.larder.Kill()
		clients.Wait()
		p.client.CloseIdleConnections()
		p.start(t)
		p.wantWhole(t, writers[0].name)
		for _, w := range writers {
			w.check(t)
			w.settle(t)
		}
		if t.Failed() {
			t.Fatalf("that was in round %d", round)
		}
	}
	acknowledged, came, lost := 0, 0, 0
	for _, w := range append(past, writers...) {
		w.check(t)
		acknowledged += w.acknowledged
		came += w.came
		lost += w.lost
	}
	t.Logf("in %d rounds %d writes were acknowledged; of others %d facts came about and %d did not", rounds, acknowledged, came, lost)
	if acknowledged < rounds || came == 0 || lost == 0 {
		t.Error("that is too little to show anything")
	}
}

// newCrashWriters publishes a new package and returns those who write to it.
func newCrashWriters(t *testing.T, p *pair, a account, round int, seed uint64) []*crashWriter {
	t.Helper()
	name := fmt.Sprintf("@crash/shared-%d", round)
	p.publish(t, a, lib(name, "0.0.1")) // a package without a version is another thing
	writers := make([]*crashWriter, crashWriters)
	for i := range writers {
		writers[i] = &crashWriter{
			pair: p, account: a, name: name, id: i + 1,
			dice:    rand.New(rand.NewPCG(seed, uint64(round*crashWriters+i+1))),
			beliefs: make(beliefs),
			tgz:     make(map[string]archive),
			pack:    func(r release) archive { return r.pack(t) },
		}
	}
	return writers
}

// wantWhole fails the test unless every tarball that a package's document names
// is there, and every tag names a version.
func (p *pair) wantWhole(t *testing.T, name string) {
	t.Helper()
	doc := p.document(t, name)
	versions := doc.Get("versions").Map()
	for version, m := range versions {
		r := release{name: name, version: version}
		if got := archiveOf(p.ok(t, r.path()).body); got.integrity != m.Get("dist.integrity").String() {
			t.Errorf("the tarball of %s@%s is another", name, version)
		}
		if !doc.Get("time").Map()[version].Exists() {
			t.Errorf("%s@%s has no time", name, version)
		}
	}
	tags := doc.Get("dist-tags").Map()
	for tag, version := range tags {
		if _, there := versions[version.String()]; !there {
			t.Errorf("tag %s of %s names %s, which is not there", tag, name, version)
		}
	}
	if _, there := tags["latest"]; !there {
		t.Errorf("%s has no latest: %s", name, gjson.GetBytes([]byte(doc.Raw), "dist-tags"))
	}
}
