// Package xds serves releases to Envoy proxies over incremental ADS: each proxy is taken from what it has to what is published,
// make before break by its own acknowledgements, and content that a proxy refuses stays out while its neighbours go on.
//
// It renders nothing and stores nothing: render/envoy makes the bytes, and reconciler/release says what is to be served.
package xds
