package validate

import (
	"fmt"
	"net/netip"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

// breaks is the first of the protos' own rules that a part breaks, also within packed messages.
func breaks(p part) error {
	host := proto.CloneOf(p.host)
	host.Domains = []string{"-"} // units have theirs beside
	if err := check(host.ProtoReflect()); err != nil {
		return err
	}
	for _, c := range p.clusters {
		if err := check(c.ProtoReflect()); err != nil {
			return err
		}
		if err := unnumbered(c); err != nil {
			return err
		}
	}
	return nil
}

// check asks a message for its rules, and looks for packed ones, which those leave out.
func check(m protoreflect.Message) error {
	if ruled, is := m.Interface().(interface{ ValidateAll() error }); is {
		if err := ruled.ValidateAll(); err != nil {
			return err
		}
	}
	return unpack(m)
}

func unpack(m protoreflect.Message) error {
	if packed, is := m.Interface().(*anypb.Any); is {
		held, err := packed.UnmarshalNew()
		if err != nil {
			return fmt.Errorf("%s cannot be read: %w", packed.TypeUrl, err)
		}
		return check(held.ProtoReflect())
	}
	var failed error
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		failed = each(f, v, unpack)
		return failed == nil
	})
	return failed
}

// unnumbered finds a name where only an IP can stand: Envoy would say so, but not once names are replaced.
func unnumbered(c *clusterv3.Cluster) error {
	if c.GetType() != clusterv3.Cluster_STATIC {
		return nil
	}
	var find func(m protoreflect.Message) error
	find = func(m protoreflect.Message) (failed error) {
		if at, is := m.Interface().(*corev3.SocketAddress); is {
			if _, err := netip.ParseAddr(at.Address); err != nil {
				return fmt.Errorf("%q is no IP address", at.Address)
			}
			return nil
		}
		m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			failed = each(f, v, find)
			return failed == nil
		})
		return failed
	}
	return find(c.LoadAssignment.ProtoReflect())
}
