package xds

import (
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
)

// Connections end after a time, give or take a tenth, so that who may connect is asked again and proxies spread over replicas.
const (
	connectionAge = time.Hour
	ageGrace      = 10 * time.Second // a proxy does not leave by itself when it is told that the connection ends
)

// NewGRPC is a gRPC server with the bounds that proxies need: small requests, and dead connections found within a minute.
func NewGRPC(more ...grpc.ServerOption) *grpc.Server {
	return grpc.NewServer(append([]grpc.ServerOption{
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxConcurrentStreams(32), // of one connection: a proxy needs one, or one for each type
		grpc.ConnectionTimeout(10 * time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time: 20 * time.Second, Timeout: 20 * time.Second, MaxConnectionAge: connectionAge, MaxConnectionAgeGrace: ageGrace,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
	}, more...)...)
}
