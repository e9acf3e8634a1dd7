package envoy

import (
	"maps"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/edgewright/edgewright/schema"
)

// additions are what an edit sets and adds. The proxy removes first, then overwrites, then appends, whatever their order here.
func additions(e schema.HeaderEdit) []*corev3.HeaderValueOption {
	var out []*corev3.HeaderValueOption
	for _, name := range slices.Sorted(maps.Keys(e.Set)) {
		out = append(out, header(name, e.Set[name], corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD))
	}
	for _, name := range slices.Sorted(maps.Keys(e.Add)) {
		out = append(out, header(name, e.Add[name], corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD))
	}
	return out
}

func removals(e schema.HeaderEdit) []string {
	names := slices.Clone(e.Remove)
	slices.Sort(names)
	return slices.Compact(names)
}

// header doubles per cent signs: a declared value is literal, to the proxy they begin a command.
func header(name, value string, action corev3.HeaderValueOption_HeaderAppendAction) *corev3.HeaderValueOption {
	return &corev3.HeaderValueOption{
		Header:         &corev3.HeaderValue{Key: name, Value: strings.ReplaceAll(value, "%", "%%")},
		AppendAction:   action,
		KeepEmptyValue: value == "",
	}
}
