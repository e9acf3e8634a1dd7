package reconciler

import (
	"encoding/json"

	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/reconciler/state"
	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// contentOf is the hash of the unit that the specification of an envoy/service stands for.
func contentOf(spec resource.Value) string {
	var s struct {
		Content string `json:"content"`
	}
	_ = json.Unmarshal(spec, &s) // what we rendered ourselves
	return s.Content
}

// fleetSpec reads the specification of an envoy/fleet.
func fleetSpec(spec resource.Value) (out envoy.FleetSpec) {
	_ = json.Unmarshal(spec, &out) // what we rendered ourselves
	return out
}

func recordKey(scope resource.Scope, kind string, host schema.Hostname) resource.Key {
	return resource.Key{Kind: resource.DNSRecord, Scope: scope, Name: kind + " " + string(host)}
}

// recordKeys are the address records of a host name that are ours or were until a while ago, in any zone.
func recordKeys(owned map[resource.Key]state.Entry, zones map[resource.Scope]*zone, host schema.Hostname) []resource.Key {
	var keys []resource.Key
	for _, scope := range sortedKeys(zones) {
		for _, kind := range plan.AddressTypes {
			key := recordKey(scope, kind, host)
			if _, is := owned[key]; is {
				keys = append(keys, key)
			}
		}
	}
	return keys
}
