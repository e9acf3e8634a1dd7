package envoy

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/edgewright/edgewright/schema"
)

// Render makes the unit of a service and the specification that stands for it in plans.
func Render(fleet schema.Fleet, s schema.Service) (Unit, Spec, error) {
	if fleet.Kind == schema.GRPC {
		return renderClient(s)
	}
	if _, ok := fleet.Listener(s.Exposure); !ok {
		return Unit{}, Spec{}, fmt.Errorf("fleet %s has no listener for exposure %q", fleet.ID, s.Exposure)
	}
	names := map[schema.BackendID]string{}
	unit := Unit{Service: s.ID, Exposure: s.Exposure, Domains: sortedHosts(s.Hosts), Clusters: []Cluster{}}
	for _, b := range s.Backends {
		if !used(s, b.ID) {
			continue // nothing to keep warm
		}
		c, err := renderCluster(s, b)
		if err != nil {
			return Unit{}, Spec{}, err
		}
		names[b.ID] = c.Name
		unit.Clusters = append(unit.Clusters, c)
	}
	slices.SortFunc(unit.Clusters, func(a, b Cluster) int { return cmp.Compare(a.Name, b.Name) })
	host, err := virtualHost(s, names)
	if err != nil {
		return Unit{}, Spec{}, err
	}
	unit.VirtualHost = host
	return unit, Spec{Hosts: unit.Domains, Exposure: s.Exposure, Backends: s.Backends, Routes: s.Routes, Content: unit.Hash()}, nil
}

func used(s schema.Service, id schema.BackendID) bool {
	return slices.ContainsFunc(s.Routes, func(r schema.Route) bool {
		f, ok := r.Action.(schema.Forward)
		return ok && slices.ContainsFunc(f.To, func(d schema.Destination) bool { return d.Backend == id })
	})
}

func sortedHosts(hosts []schema.Hostname) []schema.Hostname {
	sorted := append([]schema.Hostname{}, hosts...)
	slices.Sort(sorted)
	return slices.Compact(sorted)
}
