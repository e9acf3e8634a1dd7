package main

import (
	"encoding/json"
	"fmt"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/edgewright/edgewright/render"
	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// renderedResource is a resource with what is delivered written out: for a service of Envoy, its virtual host and clusters.
type renderedResource struct {
	resource.Resource
	VirtualHost json.RawMessage   `json:"virtualHost,omitempty"`
	Clusters    []json.RawMessage `json:"clusters,omitempty"`
}

func renderJSON(e schema.Edge, only string) ([]renderedResource, error) {
	set, err := render.Edge(e)
	if err != nil {
		return nil, err
	}
	var out []renderedResource
	for _, key := range set.Keys() {
		r := renderedResource{Resource: set[key]}
		if only != "" && string(r.Service) != only {
			continue
		}
		if key.Kind == resource.EnvoyService {
			if err := r.writeOut(); err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
		}
		out = append(out, r)
	}
	return out, nil
}

func (r *renderedResource) writeOut() error {
	unit, err := envoy.DecodeUnit(r.Body)
	if err != nil {
		return err
	}
	if r.VirtualHost, err = toJSON(unit.VirtualHost, &routev3.VirtualHost{}); err != nil {
		return err
	}
	for _, c := range unit.Clusters {
		text, err := toJSON(c.Proto, &clusterv3.Cluster{})
		if err != nil {
			return err
		}
		r.Clusters = append(r.Clusters, text)
	}
	return nil
}

func toJSON(encoded []byte, into proto.Message) (json.RawMessage, error) {
	if err := proto.Unmarshal(encoded, into); err != nil {
		return nil, err
	}
	return protojson.Marshal(into)
}
