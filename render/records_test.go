package render_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/edgewright/edgewright/render"
	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/load"
)

// TestRecordsKeptAreAsNew holds that what a loader and a rendering take over from the platform before is what they make of one when they
// have seen none.
func TestRecordsKeptAreAsNew(t *testing.T) {
	ctx := context.Background()
	told, kept := map[schema.Code]int{}, 0
	fresh := &load.Loader{Evaluator: &load.Trusted{}}
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 1))
		loader := &load.Loader{Evaluator: &load.Trusted{}}
		p := declaredRecords{name: "acme", zones: 3, checks: 1, records: [3]map[string]string{{}, {}, {}}}
		var before *render.OfPlatform
		var last schema.Platform
		for step := range 40 {
			as := p.clone()
			for range 1 + r.IntN(3) {
				p.change(r)
			}
			files := p.files()
			got, err := loader.Load(ctx, files)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := fresh.Load(ctx, new(declaredRecords).files()); err != nil { // it is of no use for what comes
				t.Fatal(err)
			}
			want, err := fresh.Load(ctx, files)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}), cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("seed %d step %d (-fresh +incremental):\n%s", seed, step, diff)
			}
			for _, problem := range want.Problems {
				told[problem.Code]++
			}
			if len(want.Problems) > 0 {
				p = as
				continue
			}
			for _, at := range got.Edge.Platform.Kept(last) {
				if at >= 0 {
					kept++
				}
			}
			now, err := render.Platform(got.Edge.Platform, before)
			if err != nil {
				t.Fatal(err)
			}
			anew, err := render.Platform(want.Edge.Platform, nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(anew.Resources, now.Resources); diff != "" {
				t.Fatalf("seed %d step %d (-fresh +incremental):\n%s", seed, step, diff)
			}
			before, last = now, got.Edge.Platform
		}
	}
	for _, code := range []schema.Code{"record/cname", "record/zone", "record/alias", "record/health", "platform/duplicate"} {
		if told[code] < 2 {
			t.Errorf("%s was told %d times: the platforms are too tame", code, told[code])
		}
	}
	if kept < 1500 {
		t.Errorf("%d records were kept", kept)
	}
}

// declaredRecords is a platform of which records are declared in three files.
type declaredRecords struct {
	name    string
	zones   int
	checks  int
	records [3]map[string]string // by name and type
}

func (p *declaredRecords) clone() declaredRecords {
	c := *p
	for i := range c.records {
		c.records[i] = maps.Clone(c.records[i])
	}
	return c
}

func (p *declaredRecords) change(r *rand.Rand) {
	host := func() string { return fmt.Sprintf("%c.z%d.test", 'a'+rune(r.IntN(3)), r.IntN(4)/3) }
	name := host()
	file := p.records[name[0]-'a']
	if r.IntN(8) == 0 {
		file = p.records[r.IntN(3)]
	}
	switch r.IntN(12) {
	case 0:
		p.name = []string{"acme", "other"}[r.IntN(2)]
	case 1:
		p.zones = 1 + r.IntN(3)
	case 2:
		p.checks = 1 - p.checks
		file[name+`": A`] = `{sets: one: {weight: 1, values: ["192.0.2.1"], healthCheck: "c0"}}`
	case 3:
		file[name+`": A`] = fmt.Sprintf(`{alias: target: %q}`, host())
	case 4:
		file[name+`": CNAME`] = `{values: ["www.acme.example"]}`
	case 5, 6:
		file[name+`": A`] = `{sets: {one: {weight: 1, values: ["192.0.2.1"]}, two: {weight: 2, values: ["192.0.2.2"]}}}`
	case 7:
		file[name+`": A`] = fmt.Sprintf(`{ttl: "%ds", values: ["192.0.2.%d"]}`, 5+r.IntN(3), 1+r.IntN(3))
	case 8:
		file[name+`": TXT`] = fmt.Sprintf(`{values: ["text %d"]}`, r.IntN(3))
	default:
		for key := range file {
			if strings.HasPrefix(key, name) || strings.HasSuffix(key, "CNAME") {
				delete(file, key)
			}
		}
	}
}

func (p *declaredRecords) files() []load.File {
	var b strings.Builder
	fmt.Fprintf(&b, "package platform\n\nname: %q\nrecords: \"alias.z0.test\": A: alias: target: \"b.z0.test\"\n", p.name)
	for _, zone := range []string{"z0.test", "z1.test", "a.z0.test"}[:p.zones] {
		fmt.Fprintf(&b, "zones: %q: exposure: \"public\"\n", zone)
	}
	for i := range p.checks {
		fmt.Fprintf(&b, "healthChecks: c%d: {host: \"a.z0.test\", type: \"http\", path: \"/up\"}\n", i)
	}
	files := []load.File{{Path: "platform/platform.cue", Data: []byte(b.String())}}
	for i, records := range p.records {
		b.Reset()
		b.WriteString("package platform\n")
		var lines []string
		for key, value := range records {
			lines = append(lines, fmt.Sprintf("records: \"%s: %s\n", key, value))
		}
		slices.Sort(lines)
		b.WriteString(strings.Join(lines, ""))
		for n := range []int{50, 0, 0}[i] { // so many places that they are left in their file
			fmt.Fprintf(&b, "records: \"f%d-%d.z0.test\": A: {ttl: \"5s\", values: [\"192.0.2.9\"]}\n", i, n)
		}
		files = append(files, load.File{Path: fmt.Sprintf("platform/records-%d.cue", i), Data: []byte(b.String())})
	}
	return files
}

// TestAliasIsRenderedAgain holds that an alias, which may be kept itself, needs what its target is now.
func TestAliasIsRenderedAgain(t *testing.T) {
	plain := schema.Record{Name: "a.x.test", Type: "A", TTL: schema.Duration(time.Minute), Sets: []schema.RecordSet{{Values: []string{"192.0.2.1"}}}}
	routed := schema.Record{Name: "a.x.test", Type: "A", TTL: schema.Duration(time.Minute), Sets: []schema.RecordSet{{ID: "one", Values: []string{"192.0.2.1"}}}}
	alias := schema.Record{Name: "b.x.test", Type: "A", Sets: []schema.RecordSet{{Alias: &schema.RecordAlias{Target: "a.x.test"}}}}
	p := schema.Platform{Name: "acme", Zones: []schema.Zone{{Name: "x.test", Exposure: "public"}}, Records: []schema.Record{plain, alias}}
	before, err := render.Platform(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.Records = []schema.Record{routed, alias}
	got, err := render.Platform(p, before)
	if err != nil {
		t.Fatal(err)
	}
	want, err := render.Platform(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.Resources, got.Resources); diff != "" {
		t.Error(diff)
	}
}
