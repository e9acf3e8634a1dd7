package plan

import (
	"bytes"
	"fmt"

	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// Owned is what the inventory knows of a resource that we made: what was last applied, and for whom.
type Owned struct {
	Spec    resource.Value
	Service schema.ServiceID
}

// Input is everything that a diff looks at.
type Input struct {
	Desired  resource.Set
	Observed map[resource.Scope]Snapshot // a scope that is missing is unknown, not empty
	Owned    map[resource.Key]Owned
	Adopt    map[resource.Key]bool // may become ours where it exists already, as people have asked for
	Kept     map[resource.Key]Kept
}

// Kept is what somebody else has changed and a person has agreed to leave as it is: as long as Have is there, nil for nothing, and Want is
// what is desired.
type Kept struct {
	Have resource.Value `json:"have,omitempty"`
	Want resource.Value `json:"want,omitempty"`
}

// Clash is a change that cannot be made because something that is not ours stands in its way.
type Clash struct {
	Key     resource.Key     `json:"key"`
	Service schema.ServiceID `json:"service,omitempty"`
	Origin  schema.Position  `json:"origin,omitzero"`
	Message string           `json:"message"`
	Unblock string           `json:"unblock"`

	Adoptable bool `json:"adoptable,omitempty"` // what stands in the way can become ours
}

// String says what stands in the way of what, and what to do.
func (c Clash) String() string { return c.Key.Name + ": " + c.Message + "; " + c.Unblock }

// Difference is what a diff found, in the order of the keys that it was given.
type Difference struct {
	Steps   []Step
	Unknown []resource.Key // desired or owned, in a scope that was not observed
	Clashes []Clash
	Lost    []resource.Key // owned, no longer desired and no longer there: only the inventory has to forget them
}

// Diff compares desired with observed for the given keys, by these cases:
//
//	desired  observed  owned   result
//	yes      no        any     create
//	yes      same      yes     nothing
//	yes      same      no      nothing, or adopt where that is asked for
//	yes      differs   yes     update (drift, if desired is what was last applied)
//	yes      differs   no      clash: it is not ours to change, or adopt where that is asked for
//	yes      as kept   yes     nothing: a person has agreed to leave it as it is
//	no       yes       yes     delete
//	no       no        yes     lost
//	no       any       no      nothing: it is not ours
//	the scope was not observed unknown; no delete is planned from it
//	the scope is another's     clash
func Diff(in Input, keys []resource.Key) Difference {
	var d Difference
	for _, key := range keys {
		want, desired := in.Desired[key]
		owned, ours := in.Owned[key]
		if !desired && !ours {
			continue
		}
		snapshot, observed := in.Observed[key.Scope]
		if !observed {
			d.Unknown = append(d.Unknown, key)
			continue
		}
		have, there := snapshot.Resources[key]
		kept, keeps := in.Kept[key]
		adopts := there && !ours && snapshot.Foreign == "" && (want.Adopt || in.Adopt[key])
		switch {
		case desired && ours && keeps && bytes.Equal(kept.Have, have) && bytes.Equal(kept.Want, want.Spec):
		case desired && adopts:
			d.Steps = append(d.Steps, step(want, Adopt, have))
		case desired && there && bytes.Equal(have, want.Spec):
		case desired && snapshot.Foreign != "":
			d.Clashes = append(d.Clashes, foreignScope(want, snapshot))
		case desired && !there:
			d.Steps = append(d.Steps, step(want, Create, nil))
		case desired && !ours:
			d.Clashes = append(d.Clashes, foreignResource(want))
		case desired:
			s := step(want, Update, have)
			s.Drift = bytes.Equal(owned.Spec, want.Spec)
			d.Steps = append(d.Steps, s)
		case there && snapshot.Foreign != "":
			d.Clashes = append(d.Clashes, foreignScope(resource.Resource{Key: key, Service: owned.Service}, snapshot))
		case there:
			d.Steps = append(d.Steps, Step{Key: key, Verb: Delete, Before: have, Service: owned.Service})
		default:
			d.Lost = append(d.Lost, key)
		}
	}
	return d
}

func step(want resource.Resource, verb Verb, before resource.Value) Step {
	return Step{Key: want.Key, Verb: verb, Before: before, After: want.Spec, Service: want.Service, Origin: want.Origin, Needs: want.Needs}
}

func foreignScope(want resource.Resource, s Snapshot) Clash {
	return Clash{
		Key: want.Key, Service: want.Service, Origin: want.Origin,
		Message: fmt.Sprintf("%s is filled by another edge, whose mark says %s", s.Scope, s.Foreign),
		Unblock: "use another zone, or remove that mark once the other edge has let go",
	}
}

func foreignResource(want resource.Resource) Clash {
	return Clash{
		Key: want.Key, Service: want.Service, Origin: want.Origin,
		Message: fmt.Sprintf("it exists in %s and was not made by edgewright", want.Key.Scope), Adoptable: true,
		Unblock: "take it over (edgewright adopt, or adopt: true in the declaration), remove it there, or declare another name",
	}
}
