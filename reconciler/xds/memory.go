package xds

import (
	"sync"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
)

// remembered is how many resources are kept of proxies that went away; the oldest go first.
const remembered = 200_000

// memory is what proxies had that went away: on a state-of-the-world stream they do not tell when they come back.
type memory struct {
	mu    sync.Mutex
	kept  map[string]recollection // by node and type
	order []string                // of kept, the oldest first
	size  int                     // resources in kept
}

// recollection is what a proxy had of a type, as of an answer.
type recollection struct {
	version  string
	has      map[string]*discoveryv3.Resource
	doubtful bool // it refused the answer, and may have some of it
}

func newMemory() *memory { return &memory{kept: map[string]recollection{}} }

// keep notes what a proxy had, in the place of what was noted of it before.
func (m *memory) keep(node, url string, r recollection) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := node + "\x00" + url
	if old, known := m.kept[key]; known {
		m.size -= old.weight()
	} else {
		m.order = append(m.order, key)
	}
	m.kept[key] = r
	m.size += r.weight()
	for m.size > remembered {
		m.size -= m.kept[m.order[0]].weight()
		delete(m.kept, m.order[0])
		m.order = m.order[1:]
	}
}

func (r recollection) weight() int { return len(r.has) + 10 }

// recall is what a proxy had in that version, nil when nobody knows; it is not to be trusted when the proxy may have something else.
func (m *memory) recall(node, url, version string) (has map[string]*discoveryv3.Resource, trusted bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, known := m.kept[node+"\x00"+url]
	switch {
	case !known:
		return nil, true
	case r.doubtful:
		return nil, false
	case r.version != version:
		return nil, true // it did not take the last answer
	}
	return r.has, true
}
