// Package xds serves releases to Envoy proxies, and to gRPC clients that speak xDS themselves: each is taken from what it has to what is
// published, make before break by its own acknowledgements, and content that it refuses stays out while its neighbours go on.
//
// What is known of a proxy and said to it (stream; of a client that asks by name: named) is in terms of differences, and beside what all have
// in common (rest). How it is said is the wire's: incremental or state
// of the world, over one aggregated gRPC stream or one for each type, which a session joins.
//
// It renders nothing and stores nothing: render/envoy makes the bytes, and reconciler/release says what is to be served.
package xds
