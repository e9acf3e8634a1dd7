package reconciler

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// planted are faults of the engine that the simulation has to find. A seed is where each was found last, and is tried before all others.
var planted = []struct {
	seed                     int
	name, file, right, wrong string
}{
	{2, "updates have no precondition", "aws/route53/apply.go", "changes(id, batch.Steps, p.Upsert)", "changes(id, batch.Steps, true)"},
	{16, "what is not in the inventory is deleted too", "plan/diff.go", "if !desired && !ours {", "if false {"},
	{1, "calls are not journalled", "apply.go", "if err := l.Books.Journal.Begin(ctx, intent); err != nil {", "if err := error(nil); err != nil {"},
	{2, "open calls are forgotten at a start", "restore.go", "for _, intent := range open {", "for _, intent := range open[:0] {"},
	{13, "a lost answer counts as a refusal", "apply.go", "		f.doubt = true\n		l.flights[c.intent] = f\n", "		l.land(f)\n"},
	{4, "one value tells of a call, though another may have made it", "doubt.go", "alone = alone && (id == f.intent.ID || !f.meets(other))", "_, _ = id, other"},
	{1, "a name is published before it is served", "pass.go", `if missing := l.missing(s, need); missing != "" {`, `if missing := l.missing(s, need); false && missing != "" {`},
	{1, "what a name let go does not linger", "publish.go", "	return still\n", "	return false && still\n"},
	{42, "the TTL of a record that somebody deleted is forgotten", "apply.go", "before := max(ttlOf(s.Before), ttlOf(old.Spec))", "before := ttlOf(s.Before)"},
	{2, "nobody has to agree", "pass.go", "!agreed && plan.TakesTraffic(s)", "false && !agreed"},
	{1, "the audit does not hear of what was done", "apply.go", `entries, l.entries(steps, "applied", now))`, "entries, nil)"},
	{1, "any digest is good", "approve.go", "case q.Digest != digest:", "case false:"},
	{1, "any count is good", "approve.go", "case q.ConfirmDeletes != deletes:", "case false:"},
	{3, "problems hold nobody", "hold.go", "		if p.Unused {\n", "		if true {\n"},
	{2, "a change of two services is published by halves", "pass.go", `			if why := l.nameTaken(s); why != "" {`, `			if why := l.nameTaken(s); false && why != "" {`},
}

// TestPlantedFaults holds that the simulation finds what it is there to find: each fault is planted in a copy of the engine's source, and
// some seed must fail for it.
func TestPlantedFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("it compiles the package once for each fault")
	}
	found := regexp.MustCompile(`seed (\d+): (.*)`)
	for _, fault := range planted {
		t.Run(fault.name, func(t *testing.T) {
			dir := t.TempDir()
			file, err := filepath.Abs(fault.file)
			if err != nil {
				t.Fatal(err)
			}
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if n := bytes.Count(source, []byte(fault.right)); n != 1 {
				t.Fatalf("%s holds %q %d times: plant it elsewhere", fault.file, fault.right, n)
			}
			copied, overlay, binary := filepath.Join(dir, "planted.go"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "planted.test")
			write(t, copied, bytes.Replace(source, []byte(fault.right), []byte(fault.wrong), 1))
			replace, err := json.Marshal(map[string]map[string]string{"Replace": {file: copied}})
			if err != nil {
				t.Fatal(err)
			}
			write(t, overlay, replace)
			if out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-overlay", overlay, "-o", binary, ".").CombinedOutput(); err != nil {
				t.Fatalf("it does not compile: %v\n%s", err, out)
			}
			for _, seeds := range []struct{ from, n int }{{fault.seed, 1}, {1, *simSeeds}} {
				out, err := exec.CommandContext(t.Context(), binary, "-test.run", "^TestSimulation$", "-sim.stop", "1",
					"-sim.from", fmt.Sprint(seeds.from), "-sim.seeds", fmt.Sprint(seeds.n)).CombinedOutput()
				if seed := found.FindSubmatch(out); err != nil && seed != nil {
					t.Logf("found by seed %s: %s", seed[1], seed[2])
					return
				}
			}
			t.Fatalf("nothing was found in %d seeds", *simSeeds)
		})
	}
}

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
