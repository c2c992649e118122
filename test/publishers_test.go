package test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/tidwall/gjson"
)

// manyPublishers is how many clients publish at once.
const manyPublishers = 32

// put is one publish that is ready to be sent.
type put struct {
	release release
	tgz     archive
	body    string
}

// putOf packs what a publisher of its own would: no two have the same bytes.
func (p *pair) putOf(t *testing.T, name, version string, publisher int) put {
	t.Helper()
	r := lib(name, version)
	r.files = map[string]string{"index.js": fmt.Sprintf("module.exports = %d\n", publisher)}
	tgz := r.pack(t)
	return put{r, tgz, mustJSON(t, npmBody(p.url(), r, tgz))}
}

// race sends all of puts at the same time and returns the answers.
func (p *pair) race(t *testing.T, accounts []account, puts []put) []reply {
	t.Helper()
	replies := make([]reply, len(puts))
	start := make(chan struct{})
	var clients sync.WaitGroup
	for i, put := range puts {
		clients.Go(func() {
			<-start
			var err error
			headers := []string{accounts[i%len(accounts)].auth(), "Content-Type: application/json"}
			if replies[i], err = p.send(http.MethodPut, p.url()+escaped(put.release.name), strings.NewReader(put.body), headers); err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	clients.Wait()
	return replies
}

// wantOneWinner fails the test unless just one of puts, which are of one
// version, succeeded, and what is there now is all of it.
func (p *pair) wantOneWinner(t *testing.T, puts []put, replies []reply) {
	t.Helper()
	winner := -1
	for i, r := range replies {
		switch {
		case r.status/100 != 2:
			if err := r.refusal(http.StatusForbidden); err != nil {
				t.Errorf("publisher %d: %v", i, err)
			}
			if got, want := gjson.GetBytes(r.body, "error").String(), "You cannot publish over the previously published versions: "+puts[i].release.version+"."; got != want {
				t.Errorf("publisher %d: %q", i, got)
			}
		case winner >= 0:
			t.Errorf("publishers %d and %d were both told that they succeeded", winner, i)
		default:
			winner = i
		}
	}
	if winner < 0 {
		t.Fatal("nobody has succeeded")
	}
	p.wantPublished(t, puts[winner].release, puts[winner].tgz)
}

func TestChecklist58_PublishersOfDistinctVersions(t *testing.T) {
	p := newPair(t)
	accounts := []account{p.adduser(t, "alice"), p.adduser(t, "bob")}
	name := "@acme/busy"
	var puts []put
	var versions []string
	for i := range manyPublishers {
		versions = append(versions, fmt.Sprintf("1.0.%d", i))
		puts = append(puts, p.putOf(t, name, versions[i], i))
	}
	for i, r := range p.race(t, accounts, puts) {
		if r.status/100 != 2 {
			t.Errorf("publisher %d: %d %s", i, r.status, r.body)
		}
	}
	for restarted := range 2 {
		p.wantVersions(t, name, versions...)
		for _, put := range puts {
			p.wantTarball(t, put.release, put.tgz)
		}
		if got := strings.SplitN(p.revOf(t, name), "-", 2)[0]; got != fmt.Sprint(manyPublishers) {
			t.Errorf("after %d changes the revision is %s", manyPublishers, got)
		}
		if restarted == 0 {
			p.stop(t)
			p.start(t)
		}
	}
}

func TestChecklist58_PublishersOfOneVersion(t *testing.T) {
	p := newPair(t)
	accounts := []account{p.adduser(t, "alice"), p.adduser(t, "bob")}
	name := "@acme/contested"
	p.publish(t, accounts[0], lib(name, "0.0.1"))
	for _, version := range []string{"1.0.0", "1.0.1", "1.0.2"} {
		var puts []put
		for i := range manyPublishers {
			puts = append(puts, p.putOf(t, name, version, i))
		}
		p.wantOneWinner(t, puts, p.race(t, accounts, puts))
	}
	p.wantVersions(t, name, "0.0.1", "1.0.0", "1.0.1", "1.0.2")
}

func TestChecklist58_TwoFirstPublishers(t *testing.T) {
	p := newPair(t)
	accounts := []account{p.adduser(t, "alice"), p.adduser(t, "bob")}
	for round := range 10 {
		name := fmt.Sprintf("@acme/first-%d", round)
		same := []put{p.putOf(t, name, "1.0.0", 0), p.putOf(t, name, "1.0.0", 1)}
		p.wantOneWinner(t, same, p.race(t, accounts, same))

		name = fmt.Sprintf("first-%d", round)
		others := []put{p.putOf(t, name, "1.0.0", 0), p.putOf(t, name, "1.1.0", 1)}
		for i, r := range p.race(t, accounts, others) {
			if r.status/100 != 2 {
				t.Errorf("publisher %d: %d %s", i, r.status, r.body)
			}
			p.wantTarball(t, others[i].release, others[i].tgz)
		}
		p.wantVersions(t, name, "1.0.0", "1.1.0")
	}
}

// A client whose connection breaks may send the same publish again while the
// first is still under way.
func TestChecklist58_OnePublisherTwice(t *testing.T) {
	p := newPair(t)
	accounts := []account{p.adduser(t, "alice")}
	for round := range 10 {
		once := p.putOf(t, "@acme/twice", fmt.Sprintf("1.0.%d", round), round)
		for i, r := range p.race(t, accounts, []put{once, once, once}) {
			if r.status/100 != 2 {
				t.Errorf("try %d: %d %s", i, r.status, r.body)
			}
		}
		p.wantPublished(t, once.release, once.tgz)
	}
}

func TestChecklist58_AllWritersAtOnce(t *testing.T) {
	p := newPair(t)
	alice := p.adduser(t, "alice")
	name := "@acme/shared"
	p.publish(t, alice, lib(name, "1.0.0"))
	const each = 8
	type write struct{ method, path, body string }
	var writes []write
	for i := range each {
		put := p.putOf(t, name, fmt.Sprintf("2.0.%d", i), i)
		writes = append(writes,
			write{http.MethodPut, escaped(name), put.body},
			write{http.MethodPut, fmt.Sprintf("/-/package%s/dist-tags/tag-%d", escaped(name), i), `"1.0.0"`},
			write{http.MethodPut, escaped(name), fmt.Sprintf(`{"_id":%q,"users":{"alice":%t}}`, name, i%2 == 0)},
			write{http.MethodPut, escaped(name), fmt.Sprintf(`{"versions":{"1.0.0":{"name":%q,"version":"1.0.0","deprecated":"reason %d"}}}`, name, i)},
		)
	}
	start := make(chan struct{})
	var clients sync.WaitGroup
	for _, w := range writes {
		clients.Go(func() {
			<-start
			r, err := p.send(w.method, p.url()+w.path, strings.NewReader(w.body), []string{alice.auth(), "Content-Type: application/json"})
			if err != nil || r.status/100 != 2 {
				t.Errorf("%s %s: %d %s %v", w.method, w.path, r.status, r.body, err)
			}
		})
	}
	close(start)
	clients.Wait()
	doc := p.document(t, name)
	if got := len(doc.Get("versions").Map()); got != 1+each {
		t.Errorf("%d versions, want %d", got, 1+each)
	}
	if got := len(doc.Get("dist-tags").Map()); got != 1+each {
		t.Errorf("tags are %s", doc.Get("dist-tags"))
	}
	if got := doc.Get(`versions.1\.0\.0.deprecated`).String(); !strings.HasPrefix(got, "reason ") {
		t.Errorf("deprecated: %q", got)
	}
}
