package load

import (
	"context"
	"errors"
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

	mu        sync.Mutex
	known     map[identity]*known // of the unit
	looked    map[identity]look   // of the file
	platforms map[string]partial  // by their revision
}

// slack is how many results beyond those of the last commit are kept: for pulls and for what is put back.
const slack = 2000

// Load evaluates the files of a commit and judges what they declare by the rules. Problems are part of the answer; an error means
// that nothing could be evaluated. When the deadline of ctx comes, what is not evaluated has a problem that says so.
func (l *Loader) Load(ctx context.Context, files []File) (Commit, error) {
	t := sorted(files, l.look)
	names, results, err := l.results(ctx, t)
	if err != nil {
		return Commit{}, fmt.Errorf("evaluate declarations: %w", err)
	}
	edge, problems := l.join(files, names, results)
	c := Commit{Edge: edge, Problems: append(problems, t.problems...)}
	for i, f := range t.declarations {
		if results[i].Service == nil {
			if id, _ := ServiceOf(f.Path); id != "" {
				c.Unread = append(c.Unread, *f)
			}
		}
	}
	if !slices.ContainsFunc(c.Problems, schema.Problem.OfPlatform) {
		verdict := l.rules.Check(edge, l.today(), func(h schema.Hostname) bool { return c.Mentions("", h) })
		c.Problems, c.Warnings = append(c.Problems, verdict.Problems...), verdict.Warnings
		for _, r := range results {
			if r.Glimpse != nil {
				c.Problems = append(c.Problems, l.glance(edge.Platform, r)...)
			}
		}
	}
	c.Problems = once(withoutUnusedTwins(c.Problems))
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

// job is a unit that has to be evaluated, and what became of it.
type job struct {
	at     int // among the names and results
	unit   Unit
	result Result
}

// results are remembered, or evaluated: those of the declarations in their order, then those of the libraries.
func (l *Loader) results(ctx context.Context, t *tree) ([]identity, []*known, error) {
	libraries := t.libraries()
	n := len(t.declarations)
	names, results := make([]identity, n+len(libraries)), make([]*known, n+len(libraries))
	l.mu.Lock()
	for i := range t.declarations { // what is remembered by its file alone is literal: there is no need to look at it
		names[i] = t.declarations[i].identity()
		results[i] = l.known[names[i]]
	}
	l.mu.Unlock()
	var jobs []*job
	for i := range results {
		if results[i] != nil {
			continue
		}
		var u Unit
		if i < n {
			u = t.unit(*t.declarations[i])
		} else {
			u = libraries[i-n]
		}
		names[i] = u.identity()
		l.mu.Lock()
		results[i] = l.known[names[i]]
		l.mu.Unlock()
		if results[i] == nil {
			jobs = append(jobs, &job{at: i, unit: u})
		}
	}
	err := l.evaluate(ctx, jobs)
	if err != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return nil, nil, err
	}
	done := jobs[:0:0]
	for _, j := range jobs {
		if j.result.none() {
			j.result = givenUp(j.unit)
		} else {
			done = append(done, j)
		}
		j.result.Library = j.unit.library // also of one whose evaluation was given up
		results[j.at] = &known{Result: j.result}
	}
	l.keep(names, results, done)
	return names, results, nil
}

// givenUp is the result of a unit for which there was no time.
func givenUp(u Unit) Result {
	id, _ := ServiceOf(u.Path())
	return Result{Source: schema.Source{File: u.Path()}, Problems: []schema.Problem{{Code: "limit/commit", Holds: schema.Holding(id),
		Position: schema.Position{File: u.Path(), Line: 1, Column: 1}, Message: "this file was not evaluated: the files of this commit take too long together",
		Hint: "mend the files that meet a limit; or change shared files in a pull of their own"}}}
}

// evaluate fills in the results of jobs.
func (l *Loader) evaluate(ctx context.Context, jobs []*job) error {
	l.once.Do(func() { l.schema, l.err = Compile() })
	if l.err != nil {
		return l.err
	}
	var literal, others []*job
	for _, j := range jobs {
		if j.unit.literal {
			literal = append(literal, j)
		} else {
			others = append(others, j)
		}
	}
	group, within := errgroup.WithContext(ctx)
	group.Go(func() error { return l.evaluateOthers(within, others) })
	for worker, workers := 0, runtime.GOMAXPROCS(0); worker < workers; worker++ {
		group.Go(func() error {
			for n := worker; n < len(literal) && within.Err() == nil; n += workers {
				literal[n].result = l.schema.Evaluate(literal[n].unit)
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
		l.looked = map[identity]look{}
	}
	l.looked[name] = known
	return known
}

// keep remembers the results of jobs, and forgets what this commit does not need once there is too much of it.
func (l *Loader) keep(names []identity, results []*known, jobs []*job) {
	if len(jobs) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known == nil || len(l.known) > 2*len(names)+slack {
		all := l.known
		l.known = make(map[identity]*known, len(names))
		for _, name := range names {
			if r := all[name]; r != nil {
				l.known[name] = r
			}
		}
	}
	for _, j := range jobs {
		l.known[names[j.at]] = results[j.at]
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
