package reconciler_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/fixtures/world"
	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/schema/load"
)

// checking lays health checks and records of the platform over the tree.
func (b *bench) checking(checks, records string) []load.File {
	return with(b.tree(), recordsFile, func(string) string {
		return fmt.Sprintf("package platform\n\nhealthChecks: {\n%s\n}\n\nrecords: {\n%s\n}\n", checks, records)
	})
}

// checks are the health checks that there are, as path and failures.
func (b *bench) checks() []string {
	var all []string
	for _, c := range b.world.HealthChecks() {
		all = append(all, fmt.Sprintf("%s %d", c.Config.ResourcePath, c.Config.FailureThreshold))
	}
	slices.Sort(all)
	return all
}

// dangling are the records that name a health check which is not there.
func (b *bench) dangling() []string {
	var all []string
	for _, r := range b.world.Records(b.zones["acme.example"]) {
		there := slices.ContainsFunc(b.world.HealthChecks(), func(c world.HealthCheck) bool { return c.ID == r.HealthCheckId })
		if r.HealthCheckId != "" && !there {
			all = append(all, r.Name)
		}
	}
	return all
}

const (
	checkMain  = `main: {type: "https", host: "main.acme.test", path: "/up"}`
	checkSpare = `spare: {type: "http", address: "198.51.100.1", path: "/spare"}`
)

func failingOver(first, second string) string {
	return fmt.Sprintf(`"api.acme.example": A: sets: {
		first: {failover: "primary", values: ["192.0.2.41"], healthCheck: %q}
		second: {failover: "secondary", values: ["192.0.2.42"], healthCheck: %q}
	}`, first, second)
}

// Health checks come before the records that name them, change where they are, and go after them. No record ever names one that is not there.
func TestHealthChecks(t *testing.T) {
	b := newBench(t)
	b.converged()
	number := 10
	for _, c := range []struct {
		checks, records string
		want            []string
		creates         int
	}{
		{checkMain + "\n" + checkSpare, failingOver("main", "spare"), []string{"/spare 3", "/up 3"}, 2},
		{strings.Replace(checkMain, "/up", "/well", 1) + "\n" + checkSpare, failingOver("main", "spare"), []string{"/spare 3", "/well 3"}, 2},
		{checkSpare, failingOver("spare", "spare"), []string{"/spare 3"}, 2},
		{strings.Replace(checkSpare, "spare:", "other:", 1), failingOver("other", "other"), []string{"/spare 3"}, 3},
		{"", "", nil, 3},
	} {
		number++
		b.land(number, b.checking(c.checks, c.records))
		b.until("no record names what is not there", func() bool {
			if left := b.dangling(); len(left) > 0 {
				t.Fatalf("%v name health checks that are not there", left)
			}
			v := b.View()
			return v.Commit == b.repository.tip() && len(v.Steps) == 0
		})
		b.converged()
		if diff := cmp.Diff(c.want, b.checks()); diff != "" {
			t.Errorf("health checks (-want +got):\n%s", diff)
		}
		if n := b.world.Calls()["CreateHealthCheck"]; n != c.creates {
			t.Errorf("%d calls of CreateHealthCheck, want %d", n, c.creates)
		}
	}
	for _, w := range b.world.Writes() {
		if w.Refused != "" {
			t.Errorf("a call was refused: %s", w.Refused)
		}
	}
}

// What cannot be changed is refused on the pull, at its line, and a health check that others' records name is not deleted.
func TestHealthChecksThatStay(t *testing.T) {
	b := newBench(t)
	b.converged()
	b.land(11, b.checking(checkMain, ""))
	b.converged()
	b.show(12, b.checking(strings.Replace(checkMain, "}", `, interval: "10s"}`, 1), ""))
	comment := b.View().Pulls[0].Comment
	for _, words := range []string{"AWS does not change the interval of a health check", "declare one by another name"} {
		if !strings.Contains(comment, words) {
			t.Errorf("the pull does not say %q:\n%s", words, comment)
		}
	}
	theirs := world.Simple("A", "theirs.acme.example.", 60, "198.51.100.7")
	theirs.SetIdentifier, theirs.Weight, theirs.HealthCheckId = "one", new(int64(1)), b.world.HealthChecks()[0].ID
	b.world.Put(b.zones["acme.example"], theirs)
	b.until("seen", func() bool {
		return slices.ContainsFunc(b.View().Zones, func(z reconciler.ZoneView) bool {
			return z.Scope == "zone/acme.example" && z.Records == len(b.world.Records(b.zones["acme.example"]))
		})
	})
	b.land(13, b.checking("", ""))
	b.until("it waits for the record of others", func() bool {
		return slices.ContainsFunc(b.View().Steps, func(s reconciler.StepView) bool {
			return strings.Contains(s.Why, "theirs.acme.example one in zone/acme.example names it")
		})
	})
	b.world.Remove(b.zones["acme.example"], theirs)
	b.until("it goes", func() bool { return len(b.world.HealthChecks()) == 0 })
	b.converged()
}

// One that somebody deletes is made again, and the records that named it follow. One that somebody changes is put back.
func TestHealthChecksDrift(t *testing.T) {
	b := newBench(t)
	b.converged()
	b.land(11, b.checking(checkMain, failingOver("main", "main")))
	b.converged()
	c := b.world.HealthChecks()[0]
	c.Config.FailureThreshold, c.Config.Disabled = 9, true
	b.world.PutHealthCheck(c)
	b.until("put back", func() bool {
		return b.world.HealthChecks()[0].Config.FailureThreshold == 3 && !b.world.HealthChecks()[0].Config.Disabled
	})
	b.converged()
	b.world.DropHealthCheck(c.ID)
	b.until("known to be missing", func() bool {
		return slices.ContainsFunc(b.View().Steps, func(s reconciler.StepView) bool {
			return strings.Contains(s.Why, "main was made before, and is not listed")
		})
	})
	b.ahead.Add(int64(time.Minute))
	b.until("made again", func() bool { return len(b.world.HealthChecks()) == 1 && len(b.dangling()) == 0 })
	b.ahead.Add(int64(time.Minute))
	b.converged()
	b.quiet()
}

// An answer that is lost, and a restart: it is made once.
func TestHealthChecksAreMadeOnce(t *testing.T) {
	b := newBench(t)
	b.converged()
	lost := b.world.Inject(world.Fault{Operation: "CreateHealthCheck", Drop: world.AfterCommit})
	b.land(11, b.checking(checkMain, failingOver("main", "main")))
	b.until("the answer was lost", func() bool { return lost.Fired() > 0 })
	b.stop()
	lost.Remove()
	b.start()
	b.converged()
	if diff := cmp.Diff([]string{"/up 3"}, b.checks()); diff != "" {
		t.Errorf("health checks (-want +got):\n%s", diff)
	}
}
