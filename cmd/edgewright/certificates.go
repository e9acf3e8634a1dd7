package main

import (
	"github.com/edgewright/edgewright/reconciler/certificates"
	"github.com/edgewright/edgewright/reconciler/xds"
)

// certified are the proxies of the loop: a fleet's certificates are read before its release is published, so that nothing is lacking.
type certified struct {
	*xds.Server
	certificates *certificates.Keeper
}

// Publish implements reconciler.Proxies.
func (c certified) Publish(r xds.Release) {
	c.certificates.Keep(r.Fleet)
	c.Server.Publish(r)
}
