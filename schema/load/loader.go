package load

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/policy"
)

// Loader loads commits and evaluates only units that it has not seen. It may be used by many goroutines at a time.
type Loader struct {
	Evaluator Evaluator           // of units that are not literal; those that are, are read here
	Cache     Cache               // of what Evaluator answered, beyond this process; nil: none
	Today     func() schema.Date  // for what has an end; nil: nothing ends
	Progress  func(done, all int) // is told how many of the units that have to be evaluated are; nil: nobody

	once   sync.Once
	schema *Schema
	err    error
	rules  policy.Checker

	mu     sync.Mutex
	known  map[string]*known // by identity of the unit
	looked map[string]look   // by identity of the file
}

// slack is how many results beyond those of the last commit are kept: for pulls and for what is put back.
const slack = 2000

// Load evaluates the files of a commit and judges what they declare by the rules. Problems are part of the answer; an error means
// that nothing could be evaluated.
func (l *Loader) Load(ctx context.Context, files []File) (Commit, error) {
	t := sorted(files, l.look)
	units := t.libraries()
	for _, f := range t.declarations {
		units = append(units, t.unit(f))
	}
	names := make([]string, len(units))
	for i, u := range units {
		names[i] = u.identity()
	}
	results, err := l.results(ctx, units, names)
	if err != nil {
		return Commit{}, fmt.Errorf("evaluate declarations: %w", err)
	}
	edge, problems := l.join(files, names, results)
	c := Commit{Edge: edge, Problems: append(problems, t.problems...)}
	for i, r := range results {
		if declared, _ := ServiceOf(units[i].Path()); r.Service == nil && declared != "" {
			c.Unread = append(c.Unread, units[i].Files[0])
		}
	}
	if !slices.ContainsFunc(c.Problems, schema.Problem.OfPlatform) {
		verdict := l.rules.Check(edge, l.today(), func(h schema.Hostname) bool { return c.Mentions("", h) })
		c.Problems, c.Warnings = append(c.Problems, verdict.Problems...), verdict.Warnings
	}
	c.Problems = withoutUnusedTwins(c.Problems)
	for _, told := range [][]schema.Problem{c.Problems, c.Warnings} {
		quote(told, files)
		schema.SortProblems(told)
	}
	return c, nil
}

func (l *Loader) today() schema.Date {
	if l.Today == nil {
		return schema.Date{}
	}
	return l.Today()
}

// results are remembered, or evaluated.
func (l *Loader) results(ctx context.Context, units []Unit, names []string) ([]*known, error) {
	results := make([]*known, len(units))
	var missing []int
	l.mu.Lock()
	for i, name := range names {
		if results[i] = l.known[name]; results[i] == nil {
			missing = append(missing, i)
		}
	}
	l.mu.Unlock()
	if len(missing) == 0 {
		return results, nil
	}
	evaluated := make([]Result, len(units))
	if err := l.evaluate(ctx, units, missing, evaluated); err != nil {
		return nil, err
	}
	for _, i := range missing {
		evaluated[i].Library = units[i].library // also of one whose evaluation was given up
		results[i] = &known{Result: evaluated[i]}
	}
	l.keep(names, results)
	return results, nil
}

// evaluate fills in the results of some of the units.
func (l *Loader) evaluate(ctx context.Context, units []Unit, missing []int, results []Result) error {
	l.once.Do(func() { l.schema, l.err = Compile() })
	if l.err != nil {
		return l.err
	}
	var literal, others []int
	for _, i := range missing {
		if units[i].literal {
			literal = append(literal, i)
		} else {
			others = append(others, i)
		}
	}
	group, within := errgroup.WithContext(ctx)
	group.Go(func() error { return l.evaluateOthers(within, units, others, results) })
	for worker, workers := 0, runtime.GOMAXPROCS(0); worker < workers; worker++ {
		group.Go(func() error {
			for n := worker; n < len(literal) && within.Err() == nil; n += workers {
				results[literal[n]] = l.schema.Evaluate(units[literal[n]])
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// look is what is known of a file, from memory if it was seen before.
func (l *Loader) look(f File) look {
	name := f.identity()
	l.mu.Lock()
	known, seen := l.looked[name]
	l.mu.Unlock()
	if seen {
		return known
	}
	known = lookAt(f)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.looked == nil || len(l.looked) > 2*len(l.known)+slack {
		l.looked = map[string]look{}
	}
	l.looked[name] = known
	return known
}

// keep remembers the results, and forgets others once there are too many.
func (l *Loader) keep(names []string, results []*known) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known == nil || len(l.known) > 2*len(names)+slack {
		l.known = make(map[string]*known, len(names))
	}
	for i, name := range names {
		l.known[name] = results[i]
	}
}

// Trusted evaluates in this process, without a bound on memory or time: what we wrote ourselves.
type Trusted struct {
	once   sync.Once
	schema *Schema
	err    error
}

// Evaluate implements Evaluator.
func (t *Trusted) Evaluate(_ context.Context, units []Unit) ([]Result, error) {
	t.once.Do(func() { t.schema, t.err = Compile() })
	if t.err != nil {
		return nil, t.err
	}
	results := make([]Result, len(units))
	for i, u := range units {
		results[i] = t.schema.Evaluate(u)
	}
	return results, nil
}
