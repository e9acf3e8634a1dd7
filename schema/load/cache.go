package load

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"github.com/edgewright/edgewright/schema"
)

// Cache keeps results of units beyond this process. It may forget, but never answers with what was not put under the key. Literal
// units are not kept: to read one again costs less than to read its result.
type Cache interface {
	Get(key string) ([]byte, bool)
	Put(key string, data []byte)
}

// batch is how many units are sent to the evaluator at a time, so that progress can be told and what is done is kept.
const batch = 128

// evaluateOthers fills in the results of units that are not literal, from the cache where it has them.
func (l *Loader) evaluateOthers(ctx context.Context, jobs []*job) error {
	open := l.uncached(jobs)
	for done := 0; done < len(open); {
		now := open[done:min(done+batch, len(open))]
		units := make([]Unit, len(now))
		for n, j := range now {
			units[n] = j.unit
		}
		evaluated, err := l.Evaluator.Evaluate(ctx, units)
		for n, r := range evaluated {
			if now[n].result = r; !r.none() {
				l.cache(now[n])
			}
		}
		if err != nil {
			return err
		}
		if done += len(now); l.Progress != nil {
			l.Progress(done, len(open))
		}
	}
	return nil
}

// uncached fills in what the cache has, and returns the other jobs.
func (l *Loader) uncached(jobs []*job) []*job {
	if l.Cache == nil {
		return jobs
	}
	there := make([]bool, len(jobs))
	var group sync.WaitGroup
	for worker, workers := 0, runtime.GOMAXPROCS(0); worker < workers; worker++ {
		group.Go(func() {
			for i := worker; i < len(jobs); i += workers {
				there[i] = l.cached(jobs[i])
			}
		})
	}
	group.Wait()
	var open []*job
	for i, j := range jobs {
		if !there[i] {
			open = append(open, j)
		}
	}
	return open
}

func (l *Loader) cached(j *job) bool {
	data, there := l.Cache.Get(j.unit.key())
	var r Result
	if !there || json.Unmarshal(data, &r) != nil {
		return false
	}
	j.result = r
	return true
}

// cache keeps a result, but for one that a limit made: another day the machine may do better.
func (l *Loader) cache(j *job) {
	if l.Cache == nil || slices.ContainsFunc(j.result.Problems, func(p schema.Problem) bool { return strings.HasPrefix(string(p.Code), "limit/") }) {
		return
	}
	if data, err := json.Marshal(j.result); err == nil {
		l.Cache.Put(j.unit.key(), data)
	}
}

// key names a unit together with what evaluates it.
func (u Unit) key() string {
	sum := sha256.Sum256([]byte(evaluatorVersion() + "\x00" + u.identity().String()))
	return hex.EncodeToString(sum[:])
}

// evaluatorVersion changes when a unit may evaluate to something else: with the schema, this program, or CUE.
var evaluatorVersion = sync.OnceValue(func() string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(schema.CUE())) {
		h.Write(schema.CUE()[name])
	}
	if build, known := debug.ReadBuildInfo(); known {
		h.Write([]byte(build.String()))
	}
	return hex.EncodeToString(h.Sum(nil))
})
