package xds

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/proto"

	"github.com/edgewright/edgewright/schema"
)

// Bounds of what a proxy may send: nobody vouches for it.
const (
	maxStreams  = 1000
	maxNode     = 256       // bytes of a node's id, and of its fleet
	maxMetadata = 64 << 10  // bytes
	maxAsked    = 64        // runtime layers, or filters, on one stream
	maxNames    = 100_000   // of one type on one stream
	maxName     = 1024      // bytes
	maxSecrets  = 1000      // wanted on one stream
	maxMessage  = 4 << 20   // bytes received
	maxWhy      = 300       // bytes kept of a refusal
	maxError    = 256 << 10 // bytes searched of a refusal
)

// node is who a stream says it is, in its first request.
type node struct {
	id    string
	fleet schema.FleetID
	envoy string
	build string
	bind  map[schema.Exposure]netip.AddrPort // nil: where the fleet says
}

func (n node) key() string { return string(n.fleet) + "\x00" + n.id }

func identify(n *corev3.Node) (node, error) {
	switch {
	case n.GetId() == "":
		return node{}, errors.New("the first request has no node.id")
	case len(n.GetId()) > maxNode || len(n.GetCluster()) > maxNode:
		return node{}, fmt.Errorf("node.id or node.cluster is longer than %d bytes", maxNode)
	case proto.Size(n.GetMetadata()) > maxMetadata:
		return node{}, fmt.Errorf("node.metadata is larger than %d bytes", maxMetadata)
	}
	bind, err := binds(n)
	if err != nil {
		return node{}, err
	}
	return node{id: n.GetId(), fleet: schema.FleetID(n.GetCluster()), envoy: versionOf(n), build: buildOf(n), bind: bind}, nil
}

// binds reads metadata {listen: {<exposure>: "address:port"}}.
func binds(n *corev3.Node) (map[schema.Exposure]netip.AddrPort, error) {
	listen, ok := n.GetMetadata().GetFields()["listen"]
	if !ok {
		return nil, nil
	}
	out := map[schema.Exposure]netip.AddrPort{}
	for exposure, v := range listen.GetStructValue().GetFields() {
		at, err := netip.ParseAddrPort(v.GetStringValue())
		if err != nil {
			return nil, fmt.Errorf("read node.metadata.listen.%.40s: %w", exposure, err)
		}
		out[schema.Exposure(exposure)] = at
	}
	return out, nil
}

func versionOf(n *corev3.Node) string {
	if v := n.GetUserAgentBuildVersion().GetVersion(); v != nil {
		return fmt.Sprintf("%d.%d.%d", v.GetMajorNumber(), v.GetMinorNumber(), v.GetPatch())
	}
	return fmt.Sprintf("%.40s", n.GetUserAgentVersion())
}

// buildOf is what a proxy says of its build, as "revision.sha abc, ssl.version BoringSSL".
func buildOf(n *corev3.Node) string {
	fields := n.GetUserAgentBuildVersion().GetMetadata().GetFields()
	var out []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if text := fields[name].GetStringValue(); text != "" {
			out = append(out, name+" "+text)
		}
	}
	return line(strings.Join(out, ", "))
}
