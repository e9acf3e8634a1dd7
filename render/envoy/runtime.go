package envoy

import (
	"math"
	"strconv"

	runtimev3 "github.com/envoyproxy/go-control-plane/envoy/service/runtime/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/edgewright/edgewright/schema"
)

// RuntimeLayer names the layer that a bootstrap asks for with rtds_layer.
const RuntimeLayer = "edgewright"

// Runtime are the runtime values of a fleet. Without any the layer is empty, and never absent: a proxy waits for it when it starts.
func Runtime(fleet schema.Fleet) *runtimev3.Runtime {
	layer := &structpb.Struct{Fields: map[string]*structpb.Value{}}
	for key, value := range fleet.Runtime {
		layer.Fields[key] = runtimeValue(value)
	}
	return &runtimev3.Runtime{Name: RuntimeLayer, Layer: layer}
}

// runtimeValue is a value in its own kind: Envoy takes no text for a number or a flag.
func runtimeValue(text string) *structpb.Value {
	if text == "true" || text == "false" {
		return structpb.NewBoolValue(text == "true")
	}
	if n, err := strconv.ParseFloat(text, 64); err == nil && !math.IsInf(n, 0) && !math.IsNaN(n) {
		return structpb.NewNumberValue(n)
	}
	return structpb.NewStringValue(text)
}
