package validate

import (
	"fmt"
	"slices"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"

	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/schema"
)

// part is what Envoy looks at: a unit, or some of its routes and clusters.
type part struct {
	exposure schema.Exposure
	domains  []schema.Hostname
	host     *routev3.VirtualHost
	clusters []*clusterv3.Cluster
}

// partOf is the whole of a unit.
func partOf(u envoy.Unit) (part, error) {
	p := part{exposure: u.Exposure, domains: u.Domains}
	host := &routev3.VirtualHost{}
	if err := proto.Unmarshal(u.VirtualHost, host); err != nil {
		return part{}, fmt.Errorf("decode virtual host: %w", err)
	}
	p.host = host
	for _, encoded := range u.Clusters {
		c := &clusterv3.Cluster{}
		if err := proto.Unmarshal(encoded.Proto, c); err != nil {
			return part{}, fmt.Errorf("decode cluster %s: %w", encoded.Name, err)
		}
		p.clusters = append(p.clusters, c)
	}
	return p, nil
}

// withRoutes is the part with some of its routes only. It has all clusters still: a route must not name one that is not there.
func (p part) withRoutes(from, to int) part {
	routes := p.host.Routes
	p.host = proto.CloneOf(p.host)
	p.host.Routes = slices.Clone(routes[from:to])
	return p
}

// withClusters is the part with some of its clusters only.
func (p part) withClusters(from, to int) part {
	p.clusters = p.clusters[from:to]
	return p
}

// routeName is a route's name as declared; Envoy's has the service before it.
func (p part) routeName(i int) string {
	_, name, _ := strings.Cut(p.host.Routes[i].Name, "/")
	return name
}

// backendName is a cluster's backend as declared; its name for counters has the service before it.
func (p part) backendName(i int) schema.BackendID {
	_, name, _ := strings.Cut(p.clusters[i].AltStatName, "/")
	return schema.BackendID(name)
}
