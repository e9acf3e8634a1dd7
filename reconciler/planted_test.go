package reconciler

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// planted are faults of the engine that the simulation has to find: in a file, what is right is replaced by what is wrong, which holds
// PLANTED where it is only to be wrong when that fault is asked for. A seed is where each was found last, and is tried before all others.
var planted = []struct {
	seed                     int
	name, file, right, wrong string
}{
	{2, "updates have no precondition", "aws/route53/apply.go", "t.changes(batch.Steps, p.Upsert)", "t.changes(batch.Steps, p.Upsert || PLANTED)"},
	{2, "what is not in the inventory is deleted too", "plan/diff.go", "if !desired && !ours {", "if !desired && !ours && !PLANTED {"},
	{2, "calls are not journalled", "apply.go", "if err := l.Books.Journal.Begin(ctx, intent); err != nil {", "if PLANTED {\n} else if err := l.Books.Journal.Begin(ctx, intent); err != nil {"},
	{2, "open calls are forgotten at a start", "restore.go", "for _, intent := range open {", "for _, intent := range pick(PLANTED, nil, open) {"},
	{8, "a lost answer counts as a refusal", "apply.go", "		f.doubt = true\n		l.flights[c.intent] = f\n", "		f.doubt = true\n		l.flights[c.intent] = f\n		if PLANTED {\n			l.land(f)\n		}\n"},
	{664, "what another call explains counts as a sign of a call in doubt", "doubt.go", "case as && l.explained(f, s):", "case as && !PLANTED && l.explained(f, s):"},
	{1170, "one value tells of a call, though the rest is as before it", "doubt.go", "	return slices.ContainsFunc(f.intent.Steps, func(s plan.Step) bool {\n		return bytes.Equal(have[s.Key], s.Before)", "	return !PLANTED && slices.ContainsFunc(f.intent.Steps, func(s plan.Step) bool {\n		return bytes.Equal(have[s.Key], s.Before)"},
	{3, "who was replaced writes on", "state/lease.go", "	epoch := f.Epoch()\n", "	epoch := f.Epoch()\n	if PLANTED {\n		return f.Store.Write(ctx, ops...)\n	}\n"},
	{24, "the times of another process are taken as they are", "restore.go", "restarted(e, l.Now())", "pick(PLANTED, e, restarted(e, l.Now()))"},
	{2, "a list counts as whole after its first page", "aws/route53/observe.go", "		out, err := h.page(ctx, in)\n", "		out, err := h.page(ctx, in)\n		if PLANTED && len(all) > 0 {\n			return all, nil\n		}\n"},
	{2, "a name is published before it is served", "wait.go", `if missing := l.missing(s, need); missing != "" {`, `if missing := l.missing(s, need); missing != "" && !PLANTED {`},
	{2, "what a name let go does not linger", "publish.go", "	return still\n", "	return still && !PLANTED\n"},
	{681, "the TTL of a record that somebody deleted is forgotten", "apply.go", "before := max(ttlOf(s.Before), ttlOf(old.Spec))", "before := max(ttlOf(s.Before), ttlOf(pick(PLANTED, nil, old.Spec)))"},
	{1, "nobody has to agree", "judge.go", "case plan.TakesTraffic(s):", "case plan.TakesTraffic(s) && !PLANTED:"},
	{1, "the audit does not hear of what was done", "apply.go", `entries, l.entries(steps, "applied", now))`, `entries, pick(PLANTED, nil, l.entries(steps, "applied", now)))`},
	{3, "any digest is good", "approve.go", "case q.Digest != digest:", "case q.Digest != digest && !PLANTED:"},
	{2, "any count is good", "approve.go", "case q.ConfirmDeletes != deletes:", "case q.ConfirmDeletes != deletes && !PLANTED:"},
	{1, "problems hold nobody", "hold.go", "		if p.Unused {\n", "		if p.Unused || PLANTED {\n"},
	{1, "a change of two services is published by halves", "wait.go", `			if why := l.nameTaken(s, holders); why != "" {`, `			if why := l.nameTaken(s, holders); why != "" && !PLANTED {`},
	{1, "each step is a call", "apply.go", "if z.limit > 0 {\n			batch.Steps = wholeNames(batch.Steps, z.limit)", "if z.limit > 0 || PLANTED {\n			batch.Steps = wholeNames(batch.Steps, max(z.limit, 1))"},
	{24, "records that cannot stand beside each other go apart", "swap.go", "l.status[other.Key].State != Ready && plan.Rivals(s, other) {", "l.status[other.Key].State != Ready && plan.Rivals(s, other) && !PLANTED {"},
	{127, "a health check goes while a record names it", "wait.go", "		return l.stillNamed(s)\n", "		if PLANTED {\n			return \"\"\n		}\n		return l.stillNamed(s)\n"},
	{5, "a health check that somebody changed is not known again", "doubt.go", "as = as || s.Key.Kind", "as = as || !PLANTED && s.Key.Kind"},
	{2, "a freeze is not heeded", "freeze.go", "if l.covers(f, s, edge) {", "if l.covers(f, s, edge) && !PLANTED {"},
	{1, "freezes are forgotten at a start", "restore.go", "if l.freezes, err = l.Books.Freezes.All(ctx); err != nil {", "if l.freezes, err = l.Books.Freezes.All(ctx); PLANTED {\n		clear(l.freezes)\n	} else if err != nil {"},
	{48, "the freeze of a fleet leaves out records that lead to it", "freeze.go", "return k.Kind.OfProxies() && f.Covers(", "return !PLANTED && k.Kind.OfProxies() && f.Covers("},
	{7, "what is paused is not left alone", "judge.go", "if mode == schema.Pause {\n		return Status{Paused", "if mode == schema.Pause && !PLANTED {\n		return Status{Paused"},
	{3, "what only reports is healed", "judge.go", "case mode == schema.Report && !s.Key.Kind.OfProxies():", "case mode == schema.Report && !s.Key.Kind.OfProxies() && !PLANTED:"},
	{12, "what is let go is not remembered", "settle.go", "l.own(next)", "l.own(pick(PLANTED, e, next))"},
	{40, "what is let go is ours again after a start", "settle.go", "l.Books.Inventory.Put(ctx, next)", "l.Books.Inventory.Put(ctx, pick(PLANTED, e, next))"},
	{24, "where it led that is let go does not linger", "settle.go", "	next.Gone[len(next.Gone)-1].At = l.Now() //", "	next.Gone[len(next.Gone)-1].At = l.Now()\n	next.Gone = pick(PLANTED, nil, next.Gone) //"},
	{118, "what is let go while a call about it is open becomes ours again", "settle.go", "if f, is := l.callAbout(key); is {", "if f, is := l.callAbout(key); is && !PLANTED {"},
	{12, "nobody has to agree to adopt", "judge.go", "_, agreed := l.approvals[id]", "_, agreed := l.approvals[id]\n	agreed = agreed || PLANTED && s.Verb == plan.Adopt"},
	{31, "what is kept is put back", "plan/diff.go", "case desired && ours && keeps && bytes", "case desired && ours && keeps && !PLANTED && bytes"},
	{3, "decisions are forgotten at a start", "restore.go", "if l.decisions, err = l.Books.Decisions.All(ctx); err != nil {", "if l.decisions, err = l.Books.Decisions.All(ctx); PLANTED {\n		clear(l.decisions)\n	} else if err != nil {"},
	{10, "protected names go like others", "plan/guard.go", "guardProtected(steps, k.Edge)...)", "pick(PLANTED, nil, guardProtected(steps, k.Edge))...)"},
	{38, "delegations go like others", "plan/protected.go", `case kind == "NS":`, `case kind == "NS" && !PLANTED:`},
	{169, "deletions are not counted by account", "plan/guard.go", `if account != "" {`, `if account != "" && !PLANTED {`},
	{3, "people are told the count of what cannot go yet", "judge.go", "		return l.status[s.Key].State != Vetoed\n", "		return l.status[s.Key].State != Vetoed && !PLANTED\n"},
	{17, "nobody looks for room", "aws/route53/refuse.go", "if room--; room < 0 {", "if room--; room < 0 && !PLANTED {"},
	{87, "deletions make room that cannot go yet", "judge.go", "	l.keepWithinQuota(steps)\n", "	if !PLANTED {\n		l.keepWithinQuota(steps)\n	}\n"},
	{2, "a zone is asked for in another account", "aws/route53/accounts.go", "id := p.declared[zone].Account", "id := pick(PLANTED, \"\", p.declared[zone].Account)"},
	{8, "one account that fails stops the other", "apply.go", "if z == nil || z.snapshot == nil || l.calling(scope) ||", "if z == nil || z.snapshot == nil || l.calling(scope) || PLANTED && slices.ContainsFunc(sortedKeys(l.zones), func(o resource.Scope) bool { return l.zones[o].err != nil }) ||"},
	{1, "zones are listed in one burst for ever", "observe.go", "return period - period/10*", "return period - pick(PLANTED, 0, period)/10*"},
}

// switches is a file that each package with faults gets.
const switches = `package %s

import "os"

var switchedOn = os.Getenv("EDGEWRIGHT_PLANTED")

func pick[T any](wrong bool, other, right T) T {
	if wrong {
		return other
	}
	return right
}
`

// TestPlantedFaults holds that the simulation finds what it is there to find: the faults are planted in a copy of the engine's source, each
// to be switched on alone, and some seed must fail for it.
func TestPlantedFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("it compiles the package anew")
	}
	binary := plant(t)
	if out, err := play(t, binary, "none", 1, 3); err != nil {
		t.Fatalf("it fails without a fault: %v\n%s", err, out)
	}
	found := regexp.MustCompile(`seed (\d+): (.*)`)
	for i, fault := range planted {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			for _, seeds := range []struct{ from, n int }{{fault.seed, 1}, {1, *simSeeds}} {
				out, err := play(t, binary, strconv.Itoa(i), seeds.from, seeds.n)
				if seed := found.FindSubmatch(out); err != nil && seed != nil {
					t.Logf("found by seed %s: %s", seed[1], seed[2])
					return
				}
			}
			t.Fatalf("nothing was found in %d seeds", *simSeeds)
		})
	}
}

// play runs seeds with one fault switched on.
func play(t *testing.T, binary, fault string, from, seeds int) ([]byte, error) {
	cmd := exec.CommandContext(t.Context(), binary, "-test.run", "^TestSimulation$", "-sim.stop", "1", "-sim.keep=false",
		"-sim.from", strconv.Itoa(from), "-sim.seeds", strconv.Itoa(seeds))
	cmd.Env = append(os.Environ(), "EDGEWRIGHT_PLANTED="+fault, "EDGEWRIGHT_SIM_REPORT=")
	return cmd.CombinedOutput()
}

// plant compiles the tests of this package with all faults in it.
func plant(t *testing.T) (binary string) {
	dir := t.TempDir()
	sources, replace := map[string][]byte{}, map[string]string{}
	for i, fault := range planted {
		file, err := filepath.Abs(fault.file)
		if err != nil {
			t.Fatal(err)
		}
		if sources[file] == nil {
			if sources[file], err = os.ReadFile(file); err != nil {
				t.Fatal(err)
			}
		}
		if n := bytes.Count(sources[file], []byte(fault.right)); n != 1 {
			t.Fatalf("%s holds %q %d times: plant it elsewhere", fault.file, fault.right, n)
		}
		wrong := strings.ReplaceAll(fault.wrong, "PLANTED", fmt.Sprintf("(switchedOn == %q)", strconv.Itoa(i)))
		sources[file] = bytes.Replace(sources[file], []byte(fault.right), []byte(wrong), 1)
	}
	for file, source := range sources {
		name := regexp.MustCompile(`(?m)^package (\w+)`).FindSubmatch(source)[1]
		replace[file] = filepath.Join(dir, fmt.Sprintf("%d.go", len(replace)))
		write(t, replace[file], source)
		added := filepath.Join(filepath.Dir(file), "planted_switches.go")
		replace[added] = filepath.Join(dir, string(name)+"_switches.go")
		write(t, replace[added], fmt.Appendf(nil, switches, name))
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "overlay.json"), overlay)
	binary = filepath.Join(dir, "planted.test")
	if out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-overlay", filepath.Join(dir, "overlay.json"), "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("it does not compile: %v\n%s", err, out)
	}
	return binary
}

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
