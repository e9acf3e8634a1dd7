package policy

import (
	"fmt"
	"strings"

	"github.com/edgewright/edgewright/schema"
)

// called tells whether the service is called by gRPC clients directly: no zone holds its names then.
func (j *judgement) called() bool {
	fleet, _ := j.platform.Fleet(j.service.Fleet)
	return fleet.Kind == schema.GRPC
}

// checkClients tells of what a service asks for that gRPC clients do not do (gRFC A27, A28, A31): they would call past it without a word.
func (j *judgement) checkClients(fleet schema.Fleet) {
	no := func(at, what, hint string) {
		j.problem("fleet/grpc", at, fmt.Sprintf("fleet %s is of gRPC clients, which %s", fleet.ID, what), hint)
	}
	for i, h := range j.service.Hosts {
		if strings.HasPrefix(string(h), "*.") {
			no(fmt.Sprintf("hosts[%d]", i), "ask for one name", "list the names that are called")
		}
	}
	for _, b := range j.service.Backends {
		if b.Health != nil {
			no(fmt.Sprintf("backends.%s.health", b.ID), "make no health checks by HTTP", "leave it out: a client passes over endpoints that it cannot connect to")
		}
	}
	for i, r := range j.service.Routes {
		at := fmt.Sprintf("routes[%d]", i)
		f, forwards := r.Action.(schema.Forward)
		if !forwards {
			no(at, "can only forward", "put the service on a fleet of Envoys, or leave out the route")
			continue
		}
		if f.Retries != nil {
			no(at+".forward.retries", "know no retries by HTTP status", "leave out retries: a client says in its own service config which calls it makes again")
		}
		if len(r.Match.Methods) > 0 {
			no(at+".match.methods", "make every call by POST", "leave out methods; a prefix is the full name of a gRPC service: /acme.shop.v1.Orders")
		}
		if len(r.Headers.Request.Set)+len(r.Headers.Request.Add)+len(r.Headers.Request.Remove)+len(r.Headers.Response.Set)+len(r.Headers.Response.Add)+len(r.Headers.Response.Remove) > 0 {
			no(at+".headers", "change no headers", "leave out headers, and have client and server set metadata themselves")
		}
	}
}
