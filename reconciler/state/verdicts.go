package state

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/edgewright/edgewright/reconciler/validate"
)

// Verdict is what was found of a content before it was published.
type Verdict struct {
	Content string    `json:"content"` // its hash
	By      string    `json:"by"`      // who judged: of another one it says nothing
	Used    time.Time `json:"used"`    // last, but for a day
	validate.Verdict
}

// Verdicts are the newest verdict on each content, as far as it was asked for of late. What is lost costs a validation.
type Verdicts struct{ Store Store }

const (
	verdictTable = "verdict"
	verdictsKept = 50_000
	verdictAge   = 30 * 24 * time.Hour // how long one that nobody asks for is kept
)

// Put writes verdicts in place of those before.
func (v Verdicts) Put(ctx context.Context, verdicts ...Verdict) error {
	ops := make([]Op, 0, len(verdicts))
	for _, one := range verdicts {
		op, err := put(verdictTable, one.Content, one, Any)
		if err != nil {
			return err
		}
		ops = append(ops, op)
	}
	if len(ops) == 0 {
		return nil
	}
	return v.Store.Write(ctx, ops...)
}

// All reads every verdict.
func (v Verdicts) All(ctx context.Context) (map[string]Verdict, error) {
	verdicts := map[string]Verdict{}
	err := all(ctx, v.Store, verdictTable, func(item Item) error {
		var one Verdict
		err := json.Unmarshal(item.Value, &one)
		verdicts[item.Key] = one
		return err
	})
	return verdicts, err
}

// Forget drops, of all that there are, those that nobody has asked for in 30 days, and the oldest beyond 50,000. It returns what is left.
func (v Verdicts) Forget(ctx context.Context, known map[string]Verdict, now time.Time) (map[string]Verdict, error) {
	newest := slices.SortedFunc(maps.Values(known), func(a, b Verdict) int {
		return cmp.Or(b.Used.Compare(a.Used), cmp.Compare(a.Content, b.Content))
	})
	left := make(map[string]Verdict, min(len(known), verdictsKept))
	var ops []Op
	for i, one := range newest {
		if i >= verdictsKept || now.Sub(one.Used) > verdictAge {
			ops = append(ops, Op{Table: verdictTable, Key: one.Content, Version: Any})
			continue
		}
		left[one.Content] = one
	}
	if len(ops) == 0 {
		return known, nil
	}
	return left, v.Store.Write(ctx, ops...)
}
