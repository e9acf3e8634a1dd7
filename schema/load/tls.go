package load

import "github.com/edgewright/edgewright/schema"

// listener turns its policies into a list, and fills in what is left out.
func (s *shape) listener(path string, l map[string]any) {
	tls, is := l["tls"].(map[string]any)
	if !is {
		return
	}
	policies, _ := tls["policies"].(map[string]any)
	if len(policies) == 0 {
		policies = map[string]any{string(schema.StandardTLS().ID): map[string]any{}}
	}
	if _, chosen := tls["default"]; !chosen && len(policies) == 1 {
		for only := range policies {
			tls["default"] = only
		}
	}
	tls["policies"] = s.keyed(path+".tls.policies", "id", policies, func(_ string, p map[string]any) {
		if _, set := p["minimum"]; !set {
			p["minimum"] = schema.StandardTLS().Minimum
		}
	})
}
