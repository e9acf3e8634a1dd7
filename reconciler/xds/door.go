package xds

import (
	"time"

	"github.com/edgewright/edgewright/schema"
)

const (
	strangers   = 50              // that are heard out at once
	strangerFor = 2 * time.Second // that one is heard out
)

// welcome serves a stream, if it shows who it is and there are not too many. One that shows nothing, or what is not known, takes the
// place of none that does.
func (s *Server) welcome(l *link) error {
	if no := s.Access.stranger(l.ctx); no != nil {
		return s.refuse(s.claims(l), l, no)
	}
	if no := s.enter(l.from()); no != nil {
		return s.refuse(node{}, l, no)
	}
	defer s.leave()
	return s.serve(l)
}

// claims is who a stranger says it is, for people to know whom to help. It is not waited for long, nor for many at once.
func (s *Server) claims(l *link) node {
	select {
	case s.strangers <- struct{}{}:
		defer func() { <-s.strangers }()
	default:
		return node{}
	}
	go l.receive()
	select {
	case first := <-l.requests:
		return claimed(first)
	case <-l.ended:
	case <-time.After(strangerFor):
	}
	return node{}
}

// claimed is who a request says it is from, whatever that is worth.
func claimed(m message) node {
	return node{id: m.GetNode().GetId(), fleet: schema.FleetID(m.GetNode().GetCluster())}
}
