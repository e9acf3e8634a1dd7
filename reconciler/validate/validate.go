// Package validate asks whether Envoy would take a unit, before anybody is served it: the protos' own rules first, then the real Envoy, as
// a process of its own that looks at the unit, serves nothing and reaches nobody.
//
// It remembers no verdicts, and what follows from one is not its business.
package validate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/schema"
)

// rules is the version of what is done here: verdicts of another one are void.
const rules = "1"

// Verdict is what was found of a unit. The zero value: it is taken.
type Verdict struct {
	Refused string           `json:"refused,omitempty"` // what is wrong with it, in one line; empty: nothing was found
	Route   string           `json:"route,omitempty"`   // that is at fault, if it is one
	Backend schema.BackendID `json:"backend,omitempty"` // likewise
	Unsure  string           `json:"-"`                 // why nobody knows what Envoy says: such a verdict is not worth keeping
}

// Config says how to validate. A zero field takes the default in brackets.
type Config struct {
	Binary string              // of Envoy; empty: only the protos' rules are asked
	AtOnce int                 // runs of Envoy (2)
	Within time.Duration       // a run ends (30s)
	Memory int64               // bytes that a run may use (1 GiB)
	CPU    time.Duration       // that a run may use (20s)
	Ran    func(time.Duration) // is told how long each run took; it may be nil
}

// Validator judges units. It is safe for use by many goroutines.
type Validator struct {
	Config
	version string // of Envoy
	slots   chan struct{}
}

// New makes a validator, and asks the binary for its version.
func New(ctx context.Context, c Config) (*Validator, error) {
	c.AtOnce, c.Within = cmp.Or(c.AtOnce, 2), cmp.Or(c.Within, 30*time.Second)
	c.Memory, c.CPU = cmp.Or(c.Memory, 1<<30), cmp.Or(c.CPU, 20*time.Second)
	if c.Ran == nil {
		c.Ran = func(time.Duration) {}
	}
	v := &Validator{Config: c, slots: make(chan struct{}, c.AtOnce)}
	if c.Binary == "" {
		return v, nil
	}
	var err error
	v.version, err = v.askVersion(ctx)
	return v, err
}

// By names who judges. Verdicts hold as long as it stays the same.
func (v *Validator) By() string {
	if v.version == "" {
		return "rules " + rules
	}
	return "rules " + rules + ", Envoy " + v.version
}

// Envoy is the version of the Envoy that is asked; empty: none is.
func (v *Validator) Envoy() string { return v.version }

// Validate judges units, and answers in their order. Many are looked at in one run, as long as nothing is wrong with them.
func (v *Validator) Validate(ctx context.Context, units []envoy.Unit) []Verdict {
	verdicts := make([]Verdict, len(units))
	var open []*suspect
	for i, u := range units {
		p, err := partOf(u)
		if err == nil {
			err = breaks(p)
		}
		if err != nil {
			verdicts[i] = p.blame(err)
			continue
		}
		if u.Client {
			continue // Envoy never sees it, and gRPC has no such judge: the rules of the protos are all there is
		}
		open = append(open, &suspect{part: p, verdict: &verdicts[i]})
	}
	if v.version != "" && len(open) > 0 {
		v.judge(ctx, open)
	}
	return verdicts
}

// suspect is a unit that waits for its verdict.
type suspect struct {
	part
	verdict *Verdict
}

// judge asks Envoy about all of them at once, and about each half where it does not take them.
func (v *Validator) judge(ctx context.Context, all []*suspect) {
	parts := make([]part, len(all))
	for i, s := range all {
		parts[i] = s.part
	}
	err := v.run(ctx, parts)
	var why *refusal
	switch refused := errors.As(err, &why); {
	case err == nil:
	case !refused && !v.works(ctx):
		for _, s := range all {
			s.verdict.Unsure = err.Error()
		}
	case len(all) > 1:
		v.judge(ctx, all[:len(all)/2])
		v.judge(ctx, all[len(all)/2:])
	case refused:
		*all[0].verdict = v.narrow(ctx, all[0].part, why)
	default:
		*all[0].verdict = doubtful(err)
	}
}

// doubtful is the verdict on a unit on which Envoy, which else works, does not end as it should.
func doubtful(err error) Verdict {
	var c *crash
	if errors.As(err, &c) {
		return Verdict{Refused: c.Error()}
	}
	return Verdict{Unsure: err.Error()}
}

// works tells whether Envoy takes what nothing is wrong with.
func (v *Validator) works(ctx context.Context) bool { return v.run(ctx, nil) == nil }

// narrow finds the route or the backend that is at fault, of which Envoy mostly says nothing. It takes a dozen runs for a large unit.
func (v *Validator) narrow(ctx context.Context, whole part, why *refusal) Verdict {
	verdict := Verdict{Refused: why.Error()}
	refused := func(p part) bool {
		var less *refusal
		if !errors.As(v.run(ctx, []part{p}), &less) {
			return false
		}
		why = less
		return true
	}
	bare := whole.withRoutes(0, 0)
	if !refused(bare) {
		if i := halve(len(whole.host.Routes), func(from, to int) bool { return refused(whole.withRoutes(from, to)) }); i >= 0 {
			verdict.Refused, verdict.Route = why.Error(), whole.routeName(i)
		}
		return verdict
	}
	if refused(bare.withClusters(0, 0)) { // its domains
		return verdict
	}
	if i := halve(len(whole.clusters), func(from, to int) bool { return refused(bare.withClusters(from, to)) }); i >= 0 {
		verdict.Refused, verdict.Backend = why.Error(), whole.backendName(i)
	}
	return verdict
}

// halve finds the one of n that is at fault. A negative answer: no single one is.
func halve(n int, atFault func(from, to int) bool) int {
	from, to := 0, n
	for to-from > 1 {
		middle := (from + to) / 2
		switch {
		case atFault(from, middle):
			to = middle
		case atFault(middle, to):
			from = middle
		default:
			return -1
		}
	}
	if n == 1 && !atFault(0, 1) || n == 0 {
		return -1
	}
	return from
}

// blame is the verdict on what breaks a rule of the protos.
func (p part) blame(err error) Verdict {
	verdict := Verdict{Refused: oneLine(err.Error())}
	if p.host == nil {
		return verdict
	}
	if breaks(p.withRoutes(0, 0)) == nil {
		if i := halve(len(p.host.Routes), func(from, to int) bool { return breaks(p.withRoutes(from, to)) != nil }); i >= 0 {
			verdict.Route = p.routeName(i)
		}
		return verdict
	}
	if i := halve(len(p.clusters), func(from, to int) bool { return breaks(p.withRoutes(0, 0).withClusters(from, to)) != nil }); i >= 0 {
		verdict.Backend = p.backendName(i)
	}
	return verdict
}

// refusal is what Envoy says against a configuration.
type refusal struct{ said string }

func (r *refusal) Error() string { return r.said }

// crash is an Envoy that ended as no program should.
type crash struct{ how string }

func (c *crash) Error() string { return fmt.Sprintf("Envoy crashes on it (%s)", c.how) }

// longest is how much of what Envoy says is told, in bytes.
const longest = 400

// oneLine is the part of a message that an author needs.
func oneLine(said string) string {
	if i := strings.LastIndex(said, "caused by: "); i >= 0 { // the protos' rules tell the way to the field first
		said = said[i+len("caused by: "):]
	}
	said = strings.Join(strings.Fields(said), " ")
	if len(said) > longest {
		said = strings.ToValidUTF8(said[:longest], "") + "…"
	}
	return said
}
