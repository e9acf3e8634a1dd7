package reconciler

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// ResourcesQuery chooses resources; an empty field chooses all.
type ResourcesQuery struct {
	Service schema.ServiceID `json:"service,omitempty"`
	Scope   resource.Scope   `json:"scope,omitempty"`
	Text    string           `json:"text,omitempty"` // that the key holds
	Limit   int              `json:"limit,omitempty"`
}

// Resources are the chosen ones, in the order of their keys.
type Resources struct {
	Total int            `json:"total"` // that were chosen; Items are the first of them
	Items []ResourceView `json:"items"`
}

// ResourceView is one resource that is ours, or shall be.
type ResourceView struct {
	Key     resource.Key     `json:"key"`
	Service schema.ServiceID `json:"service,omitempty"`
	Desired resource.Value   `json:"desired,omitempty"` // nil: it shall go
	Actual  resource.Value   `json:"actual,omitempty"`  // as last observed; nil: it is not there
	State   State            `json:"state"`             // of its step; Converged where there is none
	Why     string           `json:"why,omitempty"`
	Commit  string           `json:"commit,omitempty"`
	Applied time.Time        `json:"applied,omitzero"` // zero: never by us
}

// States of a resource without a step.
const (
	Converged State = "converged"
	Unlisted  State = "unknown" // its scope was not observed yet
)

// Resources answers with what is ours, and what shall be.
func (r *Reconciler) Resources(ctx context.Context, q ResourcesQuery) (Resources, error) {
	got, err := r.ask(ctx, q)
	if err != nil {
		return Resources{}, err
	}
	if a, is := got.(Resources); is {
		return a, nil
	}
	return Resources{}, errors.New("no answer")
}

func (l *loop) resources(q ResourcesQuery) Resources {
	all := map[resource.Key]bool{}
	for key := range l.desired {
		all[key] = true
	}
	for key, e := range l.owned {
		all[key] = all[key] || e.Spec != nil
	}
	for _, f := range l.releases {
		for key := range f.snapshot.Resources {
			all[key] = true
		}
	}
	keys := slices.DeleteFunc(sortedKeysFunc(all, resource.Key.Compare), func(k resource.Key) bool { return !all[k] || !q.chooses(k, l.serviceOf(k)) })
	out := Resources{Total: len(keys)}
	if q.Limit > 0 {
		keys = keys[:min(q.Limit, len(keys))]
	}
	for _, key := range keys {
		out.Items = append(out.Items, l.resourceView(key))
	}
	return out
}

func (q ResourcesQuery) chooses(key resource.Key, service schema.ServiceID) bool {
	return (q.Service == "" || service == q.Service) && (q.Scope == "" || key.Scope == q.Scope) && strings.Contains(key.String(), q.Text)
}

func (l *loop) serviceOf(key resource.Key) schema.ServiceID {
	if want, desired := l.desired[key]; desired {
		return want.Service
	}
	if e := l.owned[key]; e.Service != "" {
		return e.Service
	}
	return serviceOf(key)
}

func (l *loop) resourceView(key resource.Key) ResourceView {
	v := ResourceView{Key: key, Service: l.serviceOf(key), Desired: l.desired[key].Spec, State: Converged}
	if e := l.owned[key]; e.Spec != nil {
		v.Commit, v.Applied = e.Commit, e.Applied
	}
	switch {
	case key.Kind.OfProxies():
		if f := l.releases[fleetOf(key.Scope)]; f != nil {
			v.Actual = f.snapshot.Resources[key]
			if e, released := f.release.Services[schema.ServiceID(key.Name)]; released && key.Kind == resource.EnvoyService {
				v.Commit, v.Applied = e.Commit, e.Since
			}
		}
	case l.zones[key.Scope] != nil && l.zones[key.Scope].snapshot != nil:
		v.Actual = l.zones[key.Scope].snapshot.Resources[key]
	default:
		v.State = Unlisted
	}
	if clash, is := l.clashes[key]; is {
		v.State, v.Why = Clashes, clash.Message
	}
	if _, pending := l.steps[key]; pending {
		v.State, v.Why = l.status[key].State, l.status[key].Why
	}
	return v
}

// CallView is a call to AWS that is not over.
type CallView struct {
	Intent string         `json:"intent"`
	Scope  resource.Scope `json:"scope"`
	Steps  int            `json:"steps"`
	Began  time.Time      `json:"began"`
	State  string         `json:"state"` // calling, spreading, in doubt
}

func (l *loop) showCalls() []CallView {
	var out []CallView
	for _, id := range sortedKeys(l.flights) {
		f := l.flights[id]
		c := CallView{Intent: id, Scope: f.intent.Scope, Steps: len(f.intent.Steps), Began: f.started, State: "calling"}
		switch {
		case f.doubt:
			c.State = "in doubt: no answer came, the next listing tells"
		case f.intent.Token != "":
			c.State = "spreading to the name servers"
		}
		out = append(out, c)
	}
	return out
}
