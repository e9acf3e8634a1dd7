package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
)

// ID identifies a step by what it does: key, verb, before and after. Equal IDs do the same thing to the same thing.
func (s Step) ID() string {
	return digest(struct {
		Key, Verb     string
		Before, After json.RawMessage
	}{s.Key.String(), string(s.Verb), s.Before, s.After})
}

// Digest identifies a plan: the tree that it makes true and the steps, with their pre-images, in any order.
func Digest(tree string, steps []Step) string {
	ids := make([]string, len(steps))
	for i, s := range steps {
		ids[i] = s.ID()
	}
	slices.Sort(ids)
	return digest(struct {
		Tree  string
		Steps []string
	}{tree, ids})
}

// digest is 20 hex digits of a SHA-256 over canonical JSON: 80 bits, short enough to type.
func digest(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("digest of %T: %v", v, err)) // only values that are JSON already come here
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:10])
}
