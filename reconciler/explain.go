package reconciler

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/edgewright/edgewright/reconciler/release"
	"github.com/edgewright/edgewright/render"
	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/schema"
)

// ExplainQuery asks what proxies do with a request, by what they are served now.
type ExplainQuery struct {
	render.Request
}

// Explained is what one fleet does with a request, and since when.
type Explained struct {
	Fleet schema.FleetID `json:"fleet"`
	render.Explanation
	Commit   string            `json:"commit,omitempty"` // that brought what is served for the service
	Since    time.Time         `json:"since,omitzero"`
	Version  string            `json:"version,omitempty"` // of the service, as proxies acknowledge it
	Lingers  bool              `json:"lingers,omitempty"` // the name is not declared any more, and may still be asked for
	Refused  string            `json:"refused,omitempty"` // why some proxies did not take this: they are served what was good before
	Backends []ExplainedTarget `json:"backends,omitempty"`
}

// ExplainedTarget is where a route forwards to.
type ExplainedTarget struct {
	Backend   schema.BackendID `json:"backend"`
	Weight    int              `json:"weight"`
	Cluster   string           `json:"cluster"`
	Endpoints []string         `json:"endpoints"` // address:port, or name:port as the proxy resolves it
}

// Explain says what each fleet that calls by itself, or listens for the request's exposure does with it; those that have its host come alone.
func (r *Reconciler) Explain(ctx context.Context, q ExplainQuery) ([]Explained, error) {
	return asked[[]Explained](ctx, r, q)
}

func (l *loop) explain(ctx context.Context, q ExplainQuery) ([]Explained, error) {
	var all, known []Explained
	for _, id := range sortedKeys(l.releases) {
		f := l.releases[id]
		spec := fleetSpec(f.release.Spec)
		if spec.Kind != schema.GRPC && !slices.ContainsFunc(spec.Listeners, func(x schema.Listener) bool { return x.Exposure == q.Exposure }) {
			continue
		}
		one, err := l.explainFleet(ctx, f.release, q.Request)
		if err != nil {
			return nil, err
		}
		if spec.Kind != schema.GRPC {
			all = append(all, one)
		}
		if one.Service != "" {
			known = append(known, one)
		}
	}
	if len(known) > 0 {
		return known, nil
	}
	return all, nil
}

// explainFleet follows the request through the release: what is served, be it declared so any more or not.
func (l *loop) explainFleet(ctx context.Context, r release.Release, q render.Request) (Explained, error) {
	edge, kind := schema.Edge{}, fleetSpec(r.Spec).Kind
	for _, id := range sortedKeys(r.Services) {
		exposure := q.Exposure
		if kind == schema.GRPC {
			exposure = specOf(r.Services[id]).Exposure
		}
		edge.Services = append(edge.Services, l.asServed(r, id, exposure))
	}
	out := Explained{Fleet: r.Fleet, Explanation: render.Explain(edge, schema.Fleet{ID: r.Fleet, Kind: kind}, r.Layout, q)}
	e, is := r.Services[out.Service]
	if !is {
		return out, nil
	}
	out.Commit, out.Since, out.Version, out.Refused = e.Commit, e.Since, e.Version(), e.Why()
	out.Lingers = !slices.Contains(e.Hosts(), out.Name)
	if out.Route == nil {
		return out, nil
	}
	forward, is := out.Route.Action.(schema.Forward)
	if !is {
		return out, nil
	}
	unit, err := l.unit(ctx, e.Content)
	if err != nil {
		return out, fmt.Errorf("read content of service %s: %w", out.Service, err)
	}
	out.Backends, err = targets(forward, specOf(e), unit)
	return out, err
}

// asServed is a service as a release has it. Its lines are those of its declaration where that is the one served, else only where it began.
func (l *loop) asServed(r release.Release, id schema.ServiceID, at schema.Exposure) schema.Service {
	e := r.Services[id]
	spec := specOf(e)
	s := schema.Service{ID: id, Fleet: r.Fleet, Exposure: at, Routes: spec.Routes, Backends: spec.Backends,
		Source: schema.Source{File: e.Origin.File, At: map[string]schema.Position{"": e.Origin}}}
	if spec.Exposure == at {
		s.Hosts = slices.Clone(e.Hosts())
	}
	for _, p := range e.Linger {
		if p.Exposure == at {
			s.Hosts = append(s.Hosts, p.Host)
		}
	}
	if now, is := l.edge.Service(id); is && contentOf(l.desired[r.Key(id)].Spec) == e.Content {
		s.Source = now.Source
	}
	return s
}

func specOf(e release.Entry) (spec envoy.Spec) {
	_ = json.Unmarshal(e.Spec, &spec) // what we rendered ourselves
	return spec
}

// targets are the backends of a route with their clusters.
func targets(forward schema.Forward, spec envoy.Spec, unit envoy.Unit) ([]ExplainedTarget, error) {
	clusters := map[schema.BackendID]string{}
	for _, c := range unit.Clusters {
		backend, err := c.Backend()
		if err != nil {
			return nil, err
		}
		clusters[backend] = c.Name
	}
	var out []ExplainedTarget
	for _, to := range forward.To {
		t := ExplainedTarget{Backend: to.Backend, Weight: to.Weight, Cluster: clusters[to.Backend], Endpoints: []string{}}
		for _, b := range spec.Backends {
			if b.ID == to.Backend {
				t.Endpoints = endpoints(b.Location)
			}
		}
		out = append(out, t)
	}
	return out, nil
}

func endpoints(at schema.Location) []string {
	out := []string{}
	switch at := at.(type) {
	case schema.Addresses:
		for _, a := range at {
			out = append(out, a.String())
		}
	case schema.DNSName:
		out = append(out, fmt.Sprintf("%s:%d", at.Name, at.Port))
	}
	return out
}
