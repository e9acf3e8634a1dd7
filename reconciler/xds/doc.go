// Package xds serves releases to Envoy proxies: each proxy is taken from what it has to what is published, make before break by its
// own acknowledgements, and content that a proxy refuses stays out while its neighbours go on.
//
// What is known of a proxy and said to it (stream) is in terms of differences. How it is said is the wire's: incremental or state
// of the world, over one aggregated gRPC stream or one for each type, which a session joins.
//
// It renders nothing and stores nothing: render/envoy makes the bytes, and reconciler/release says what is to be served.
package xds
