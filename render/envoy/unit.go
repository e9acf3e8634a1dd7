// Package envoy renders services and fleets to Envoy's configuration, as Envoys and gRPC clients take it: for each service a unit of one
// virtual host and its clusters, and for a fleet of Envoys the listeners, scopes and route buckets into which units are packed.
//
// It serves nothing and decides nothing about when: reconciler/release and reconciler/xds do.
package envoy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	"google.golang.org/protobuf/proto"

	"github.com/edgewright/edgewright/schema"
)

// Unit is all that a fleet serves for one service: what is added, switched, refused and rolled back together.
type Unit struct {
	Service     schema.ServiceID  `json:"service"`
	Exposure    schema.Exposure   `json:"exposure"`
	Domains     []schema.Hostname `json:"domains"`     // sorted
	VirtualHost []byte            `json:"virtualHost"` // deterministic proto of routev3.VirtualHost svc/<service>, without domains
	Clusters    []Cluster         `json:"clusters"`    // sorted by name

	Client    bool        `json:"client,omitempty"`    // it is for gRPC clients that speak xDS themselves: see client.go
	Endpoints []Endpoints `json:"endpoints,omitempty"` // of its clusters, sorted by name
}

// Endpoints is one encoded endpointv3.ClusterLoadAssignment, named e/<service>/<backend>.
type Endpoints struct {
	Name  string `json:"name"`
	Proto []byte `json:"proto"` // deterministic proto of endpointv3.ClusterLoadAssignment
}

// Cluster is one encoded clusterv3.Cluster, named c/<service>/<hash12> by its content.
type Cluster struct {
	Name  string `json:"name"`
	Proto []byte `json:"proto"` // deterministic proto of clusterv3.Cluster
}

// Backend is the backend that the cluster was rendered from.
func (c Cluster) Backend() (schema.BackendID, error) {
	var m clusterv3.Cluster
	if err := proto.Unmarshal(c.Proto, &m); err != nil {
		return "", fmt.Errorf("decode cluster %s: %w", c.Name, err)
	}
	_, backend, _ := strings.Cut(m.AltStatName, "/")
	return schema.BackendID(backend), nil
}

// Spec is the specification of an envoy/service: the declaration as people read it, and the hash of the unit it renders to.
type Spec struct {
	Hosts    []schema.Hostname `json:"hosts"`
	Exposure schema.Exposure   `json:"exposure"`
	Backends []schema.Backend  `json:"backends"`
	Routes   []schema.Route    `json:"routes"`
	Content  string            `json:"content"` // hex sha256 of the unit's encoding
}

// FleetSpec is the specification of an envoy/fleet: what its proxies have in common.
type FleetSpec struct {
	Kind         schema.FleetKind     `json:"kind,omitempty"` // empty: Envoys
	Listeners    []schema.Listener    `json:"listeners"`
	Certificates []schema.Certificate `json:"certificates,omitempty"`
	Runtime      map[string]string    `json:"runtime,omitempty"`
}

// Layout is how units are packed: Buckets scopes for each exposure, named by Generation so that another count can be made beside it.
type Layout struct {
	Generation int `json:"generation"`
	Buckets    int `json:"buckets"` // a power of two, 32 to 1024
}

// Encode is the stored form of a unit: equal units are equal bytes.
func (u Unit) Encode() []byte {
	data, err := json.Marshal(u)
	if err != nil {
		panic(fmt.Sprintf("encode unit %s: %v", u.Service, err)) // strings and bytes only
	}
	return data
}

// DecodeUnit reads what Encode wrote.
func DecodeUnit(data []byte) (Unit, error) {
	var u Unit
	if err := json.Unmarshal(data, &u); err != nil {
		return Unit{}, fmt.Errorf("decode unit: %w", err)
	}
	return u, nil
}

// Hash is the hex sha256 of the encoding.
func (u Unit) Hash() string { return hashOf(u.Encode()) }

func hashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
