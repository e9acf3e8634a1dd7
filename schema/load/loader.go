package load

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
)

// Loader loads commits and evaluates only files that it has not seen. It may be used by many goroutines at a time.
type Loader struct {
	Evaluator Evaluator

	mu    sync.Mutex
	known map[string]Result // by path and content
}

// slack is how many results beyond those of the last commit are kept: for pulls and for what is put back.
const slack = 2000

// Load evaluates the files of a commit. Problems are part of the answer; an error means that nothing could be evaluated.
func (l *Loader) Load(ctx context.Context, files []File) (Commit, error) {
	results := make([]Result, len(files))
	names := make([]string, len(files))
	var missing []int
	l.mu.Lock()
	for i, f := range files {
		names[i] = identity(f)
		if r, ok := l.known[names[i]]; ok {
			results[i] = r
		} else {
			missing = append(missing, i)
		}
	}
	l.mu.Unlock()
	if len(missing) > 0 {
		fresh := make([]File, len(missing))
		for i, at := range missing {
			fresh[i] = files[at]
		}
		evaluated, err := l.Evaluator.Evaluate(ctx, fresh)
		if err != nil {
			return Commit{}, fmt.Errorf("evaluate declarations: %w", err)
		}
		for i, at := range missing {
			results[at] = evaluated[i]
		}
	}
	l.keep(names, results)
	return Join(files, results), nil
}

func identity(f File) string {
	if f.Hash == "" {
		f.Hash = fmt.Sprintf("%x", sha256.Sum256(f.Data))
	}
	return f.Path + "\x00" + f.Hash
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

// Trusted evaluates files in this process, without a bound on memory or time: for files that we wrote ourselves.
type Trusted struct {
	mu     sync.Mutex
	schema *Schema
}

// Evaluate implements Evaluator.
func (t *Trusted) Evaluate(_ context.Context, files []File) ([]Result, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.schema == nil {
		compiled, err := Compile()
		if err != nil {
			return nil, err
		}
		t.schema = compiled
	}
	results := make([]Result, len(files))
	for i, f := range files {
		results[i] = t.schema.Evaluate(f)
	}
	return results, nil
}
