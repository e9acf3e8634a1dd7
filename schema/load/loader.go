package load

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Loader loads commits and evaluates only units that it has not seen. It may be used by many goroutines at a time.
type Loader struct {
	Evaluator Evaluator // of units that are not literal; those that are, are read here

	once   sync.Once
	schema *Schema
	err    error

	mu     sync.Mutex
	known  map[string]Result // by identity of the unit
	looked map[string]look   // by identity of the file
}

// slack is how many results beyond those of the last commit are kept: for pulls and for what is put back.
const slack = 2000

// Load evaluates the files of a commit. Problems are part of the answer; an error means that nothing could be evaluated.
func (l *Loader) Load(ctx context.Context, files []File) (Commit, error) {
	t := sorted(files, l.look)
	units := t.libraries()
	for _, f := range t.declarations {
		units = append(units, t.unit(f))
	}
	results := make([]Result, len(units))
	names := make([]string, len(units))
	var missing []int
	l.mu.Lock()
	for i, u := range units {
		names[i] = u.identity()
		if r, ok := l.known[names[i]]; ok {
			results[i] = r
		} else {
			missing = append(missing, i)
		}
	}
	l.mu.Unlock()
	if err := l.evaluate(ctx, units, missing, results); err != nil {
		return Commit{}, fmt.Errorf("evaluate declarations: %w", err)
	}
	for i, u := range units { // also of one whose evaluation was given up
		results[i].Library = u.library
	}
	l.keep(names, results)
	return Join(files, results, t.problems...), nil
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
	if len(others) > 0 {
		group.Go(func() error {
			send := make([]Unit, len(others))
			for n, i := range others {
				send[n] = units[i]
			}
			evaluated, err := l.Evaluator.Evaluate(within, send)
			for n, i := range others {
				if err == nil {
					results[i] = evaluated[n]
				}
			}
			return err
		})
	}
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
func (l *Loader) keep(names []string, results []Result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known == nil || len(l.known) > 2*len(names)+slack {
		l.known = make(map[string]Result, len(names))
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
