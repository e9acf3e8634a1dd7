package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/edgewright/edgewright/fixtures/demo"
	"github.com/edgewright/edgewright/fixtures/load"
	"github.com/edgewright/edgewright/fixtures/world"
	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/state/sqlite"
	schemaload "github.com/edgewright/edgewright/schema/load"
)

var kills = flag.Int("kills", 20, "kills that TestKilled counts")

const (
	killZones     = 5
	killNames     = 100 // in each zone
	killAddresses = 25  // of each name: a call holds 20 changes of such records
	killSettle    = 150 * time.Millisecond
)

// killed is a daemon that is killed over and over while it applies, with an AWS that is strict and a wire that is slow.
type killed struct {
	*testing.T
	*demo.Demo
	world  *world.World
	zones  map[string]string // id by name
	clone  *demo.Clone
	random *rand.Rand

	round  int
	commit string
	begun  int       // writes of the world before the round
	born   time.Time // of the daemon that runs
	hits   map[string]int
}

// TestKilled kills the real daemon with SIGKILL at any moment of applying 500 changes in 20 calls or more. A kill counts when it met a
// call on the wire, or an intent in the journal without an outcome. Whatever it met, the next daemon ends where the first would have
// ended, and nothing was done twice: not in AWS, not in the journal, not in the audit.
func TestKilled(t *testing.T) {
	k := startKilled(t)
	deadline := time.Now().Add(time.Duration(*kills) * 10 * time.Second)
	counted, missed := 0, 0
	for k.next(); counted < *kills; {
		if time.Now().After(deadline) {
			t.Fatalf("%d kills counted and %d missed by the deadline\n%s", counted, missed, k.Daemon.Log(20))
		}
		if !k.busy() {
			k.checkRound()
			k.next()
			continue
		}
		if met := k.kill(); met == "" {
			missed++
		} else {
			counted++
			k.hits[met]++
		}
		k.start()
	}
	k.settle()
	k.checkRound()
	k.checkBooks()
	t.Logf("%d kills counted, %d repeated because they met nothing; %d rounds, %d calls taken; met: %v", counted, missed, k.round, len(k.world.Writes()), k.hits)
}

func startKilled(t *testing.T) *killed {
	self, tools := program(t)
	t.Setenv("EDGEWRIGHT_TEST_MAIN", "1")
	k := &killed{T: t, world: world.Start(t, world.Options{Settle: killSettle}), zones: map[string]string{}, random: rand.New(rand.NewPCG(7, 7)), hits: map[string]int{}}
	for i := range killZones {
		k.zones[killZone(i)] = k.world.Zone(killZone(i))
	}
	var err error
	k.Demo, err = demo.Start(t.Context(), demo.Config{Dir: t.TempDir(), Tools: tools, Command: []string{self}, Envoys: 1, Files: killFiles(),
		AWS: k.world.URL, Out: t.Output(), Flags: []string{"--observe", "1s"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Stop(); err != nil {
			t.Error(err)
		}
	})
	k.slow(40 * time.Millisecond)
	k.born = time.Now()
	if k.clone, err = k.Clone(t.Context(), "clone"); err != nil {
		t.Fatal(err)
	}
	k.settle() // the names are made
	return k
}

func killZone(i int) string { return fmt.Sprintf("zone%d.example", i) }

// killFiles declare a service of 100 names in each of the zones.
func killFiles() []schemaload.File {
	var zones, domains strings.Builder
	files := []schemaload.File{{Path: "cue.mod/module.cue", Data: []byte("module: \"acme.example/edge\"\nlanguage: version: \"v0.15.0\"\n")}}
	for i := range killZones {
		zone := killZone(i)
		fmt.Fprintf(&zones, "zones: %q: exposure: \"public\"\n", zone)
		fmt.Fprintf(&domains, "%q, ", zone)
		var hosts strings.Builder
		for n := range killNames {
			fmt.Fprintf(&hosts, "%q, ", fmt.Sprintf("n%d.%s", n, zone))
		}
		files = append(files, schemaload.File{Path: fmt.Sprintf("services/all/service%d.cue", i), Data: fmt.Appendf(nil, `package services

services: "service%d": {
	owner: {team: "all", oncall: "#all"}
	hosts: [%s]
	exposure: "public"
	fleet:    "edge"
	routes: [{name: "all", respond: {status: 200, body: "ok\n"}}]
}
`, i, hosts.String())})
	}
	return append(files,
		schemaload.File{Path: "platform/zones.cue", Data: fmt.Appendf(nil, "package platform\n\nname: \"acme\"\nteams: all: {name: \"All\", domains: [%s]}\n%s", domains.String(), zones.String())},
		schemaload.File{Path: "platform/fleets.cue", Data: []byte(killFleet(1))})
}

// killFleet gives all names another time to live in each round, so that a round changes each of them, and to what no round before did.
func killFleet(round int) string {
	var addresses strings.Builder
	for i := range killAddresses {
		fmt.Fprintf(&addresses, "%q, ", fmt.Sprintf("192.0.2.%d", i+1))
	}
	return fmt.Sprintf("package platform\n\nfleets: edge: {\n\tlisteners: public: port: 8080\n\taddresses: [%s]\n\tttl: \"%ds\"\n}\n", addresses.String(), killTTL(round))
}

func killTTL(round int) int { return 60 + round }

// next pushes the next 500 changes.
func (k *killed) next() {
	k.Helper()
	k.round++
	k.begun = len(k.world.Writes())
	err := k.clone.Update(k.Context())
	if err == nil {
		err = k.clone.Edit("platform/fleets.cue", func(string) string { return killFleet(k.round + 1) })
	}
	if err == nil {
		k.commit, err = k.clone.Push(k.Context(), "main", fmt.Sprintf("Round %d", k.round))
	}
	if err != nil {
		k.Fatal(err)
	}
}

// applied tells whether the round is done.
func (k *killed) applied() bool {
	var v reconciler.View
	code, _, err := k.Daemon.Call(k.Context(), http.MethodGet, "/api/v1/status", nil, &v)
	if err != nil || code != http.StatusOK || k.commit != "" && v.Commit != k.commit || len(v.Steps) > 0 || len(v.Zones) != killZones+1 || len(v.Services) != killZones {
		return false
	}
	for _, z := range v.Zones {
		if _, is := z.Scope.Zone(); is && (z.Taken.IsZero() || z.Ours != killNames+1) {
			return false
		}
	}
	for _, s := range v.Services {
		if s.State != "converged" {
			return false
		}
	}
	return true
}

func (k *killed) settle() {
	k.Helper()
	ctx, cancel := context.WithTimeout(k.Context(), time.Minute)
	defer cancel()
	err := load.Until(ctx, 20*time.Millisecond, func(context.Context) error {
		if !k.applied() {
			return fmt.Errorf("round %d is not applied", k.round)
		}
		return nil
	})
	if err != nil {
		k.Fatalf("%v\n%s", err, k.Daemon.Log(30))
	}
}

func (k *killed) start() {
	k.Helper()
	k.born = time.Now()
	if err := k.Daemon.Start(k.Context()); err != nil {
		k.Fatal(err)
	}
}

// busy waits for the next write on the wire; false: the round is done.
func (k *killed) busy() bool {
	k.Helper()
	writes := len(k.Wire.Writes())
	for until := time.Now().Add(30 * time.Second); len(k.Wire.Writes()) == writes; time.Sleep(5 * time.Millisecond) {
		if k.applied() {
			return false
		}
		if time.Now().After(until) {
			k.Fatalf("nothing happens in round %d\n%s", k.round, k.Daemon.Log(30))
		}
	}
	return true
}

// kill kills the daemon at any moment, and tells what it met; nothing: it hit no call.
func (k *killed) kill() (met string) {
	k.Helper()
	time.Sleep(time.Duration(k.random.IntN(400)) * time.Millisecond)
	k.Daemon.Kill()
	return k.met()
}

// met looks at the wire and into the journal of the dead daemon: what there is of its life only.
func (k *killed) met() string {
	k.Helper()
	time.Sleep(50 * time.Millisecond) // the wire learns that its client has gone
	var unsent, unanswered int
	for _, c := range k.Wire.Writes() {
		switch {
		case !c.Dropped || c.At.Before(k.born):
		case c.Taken():
			unanswered++
		default:
			unsent++
		}
	}
	var begun, taken int
	k.books(func(b reconciler.Books) error {
		open, err := b.Journal.Open(k.Context())
		for _, i := range open {
			switch {
			case i.Outcome != nil || i.At.Before(k.born):
			case i.Token != "":
				taken++
			default:
				begun++
			}
		}
		return err
	})
	if unsent+unanswered > begun {
		k.Errorf("%d calls were on the wire, of which %d are in the journal", unsent+unanswered, begun)
	}
	switch {
	case unanswered > 0:
		return "a call that was taken, not answered"
	case unsent > 0:
		return "a call on its way"
	case begun > 0:
		return "an intent whose call is not on the wire"
	case taken > 0:
		return "a change that had not spread"
	}
	return ""
}

// books reads what a dead daemon has left.
func (k *killed) books(read func(reconciler.Books) error) {
	k.Helper()
	s, err := sqlite.Open(k.Context(), k.Daemon.State)
	if err != nil {
		k.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			k.Error(err)
		}
	}()
	if err := read(reconciler.BooksOf(s)); err != nil {
		k.Fatal(err)
	}
}
