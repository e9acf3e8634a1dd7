package xds

import (
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/mem"
)

// Connections end after a time, give or take a tenth, so that who may connect is asked again and proxies spread over replicas.
const (
	connectionAge = time.Hour
	ageGrace      = 10 * time.Second // a proxy does not leave by itself when it is told that the connection ends
)

// NewGRPC is a gRPC server with the bounds that proxies need: small requests, and dead connections found within a minute.
func NewGRPC(more ...grpc.ServerOption) *grpc.Server {
	return grpc.NewServer(append([]grpc.ServerOption{
		grpc.ForceServerCodecV2(codec{encoding.GetCodecV2(proto.Name)}),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxConcurrentStreams(32), // of one connection: a proxy needs one, or one for each type
		grpc.ConnectionTimeout(10 * time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time: 20 * time.Second, Timeout: 20 * time.Second, MaxConnectionAge: connectionAge, MaxConnectionAgeGrace: ageGrace,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
	}, more...)...)
}

// prepared is an answer that may be encoded already. Any codec can send it; ours does not encode it again.
type prepared struct {
	*discoveryv3.DeltaDiscoveryResponse
	encoded []byte
}

type codec struct{ encoding.CodecV2 }

func (c codec) Marshal(m any) (mem.BufferSlice, error) {
	if p, is := m.(prepared); is && p.encoded != nil {
		return mem.BufferSlice{mem.SliceBuffer(p.encoded)}, nil
	}
	return c.CodecV2.Marshal(m)
}
