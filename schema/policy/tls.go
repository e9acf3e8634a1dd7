package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/schema"
)

// What a listener and a fleet may have at most. A proxy takes longer for each chain that it has, and looks at each certificate of one.
const (
	mostPolicies     = 50
	mostCertificates = 200
)

// judgeTLS looks at the certificates of a fleet and the policies of its listeners.
func (j *judgement) judgeTLS(f schema.Fleet) {
	at := "fleets." + string(f.ID)
	holders := map[schema.Exposure]named{schema.Public: {}, schema.Internal: {}}
	for _, c := range f.Certificates {
		within := at + ".certificates." + string(c.ID)
		if len(c.Hosts) == 0 {
			j.problem("fleet/certificate", within, fmt.Sprintf("certificate %s is for no host name", c.ID), `write the names that it is shown for, as hosts: ["www.acme.example", "*.acme.example"]`)
		}
		for i, h := range c.Hosts {
			for _, e := range []schema.Exposure{schema.Public, schema.Internal} {
				if (c.Exposure == "" || c.Exposure == e) && j.bind(holders[e], h, string(c.ID), fmt.Sprintf("%s.hosts[%d]", within, i), "two certificates, %s and %s", "a client would get one or the other: each name is for one certificate of a listener") {
					break // told once
				}
			}
		}
	}
	if len(f.Certificates) > mostCertificates {
		j.problem("fleet/certificate", at+".certificates", fmt.Sprintf("%s has %d certificates, more than %d", at, len(f.Certificates), mostCertificates), "take wildcards, or several names in one certificate")
	}
	for _, l := range f.Listeners {
		if l.TLS != nil {
			j.judgePolicies(f, l, at+".listeners."+string(l.Exposure)+".tls")
		}
	}
}

func (j *judgement) judgePolicies(f schema.Fleet, l schema.Listener, at string) {
	t, shown := *l.TLS, f.Certified(l.Exposure)
	ids := names(t.Policies, func(p schema.TLSPolicy) schema.PolicyID { return p.ID })
	if len(ids) > mostPolicies {
		j.problem("fleet/policies", at+".policies", fmt.Sprintf("this listener has %d policies, more than %d", len(ids), mostPolicies), "bind several names to one policy")
	}
	fallback, is := t.Bound(t.Default)
	switch {
	case t.Default == "":
		j.problem("fleet/policy", at, "no policy is the default", fmt.Sprintf("write default: and the policy of all hosts that no other is bound to; policies here: %s", join(ids)))
	case !is:
		j.problem("fleet/policy", at+".default", fmt.Sprintf("there is no policy %s", t.Default), meant(t.Default, ids, "policies here: "+join(ids)))
	case len(fallback.Hosts) > 0:
		j.problem("fleet/policy", at+".policies."+string(t.Default)+".hosts", fmt.Sprintf("policy %s is the default and is bound to hosts as well", t.Default), "the default holds for all hosts that no other policy is bound to: leave out hosts")
	case len(t.Shown(fallback, shown)) == 0:
		j.problem("fleet/certificate", at, fmt.Sprintf("no certificate is for a host of the policy %s", t.Default),
			fmt.Sprintf("declare one at fleets.%s.certificates: without it no client gets an answer", f.ID))
	}
	holder := named{}
	for _, p := range t.Policies {
		j.judgePolicy(f, l, p, at+".policies."+string(p.ID), holder)
	}
}

func (j *judgement) judgePolicy(f schema.Fleet, l schema.Listener, p schema.TLSPolicy, at string, holder named) {
	t := *l.TLS
	if _, known := t.Bound(t.Default); known && len(p.Hosts) == 0 && p.ID != t.Default {
		j.problem("fleet/policy", at, fmt.Sprintf("policy %s is bound to no host, and %s is the default", p.ID, t.Default), "write the hosts that it holds for, or remove it")
	}
	if p.Minimum == "1.3" && len(p.Ciphers) > 0 {
		j.problem("fleet/policy", at+".ciphers", fmt.Sprintf("policy %s chooses ciphers of TLS 1.2, which it does not take", p.ID), "those of TLS 1.3 are all safe and cannot be chosen: leave out ciphers")
	}
	for i, h := range p.Hosts {
		within := fmt.Sprintf("%s.hosts[%d]", at, i)
		j.bind(holder, h, string(p.ID), within, "two policies, %s and %s", "a host has one policy")
		if !certified(h, f.Certified(l.Exposure)) {
			j.problem("fleet/certificate", within, fmt.Sprintf("no certificate of fleet %s is for %s", f.ID, h), fmt.Sprintf("declare one at fleets.%s.certificates, or add the name to one that holds it", f.ID))
		}
	}
}

// certified tells whether a certificate is for a name, or, where that is a wildcard, for one below it.
func certified(h schema.Hostname, all []schema.Certificate) bool {
	_, known := schema.For(h, all)
	above, wild := strings.CutPrefix(string(h), "*")
	return known || wild && slices.ContainsFunc(all, func(c schema.Certificate) bool {
		return slices.ContainsFunc(c.Hosts, func(name schema.Hostname) bool { return strings.HasSuffix(string(name), above) })
	})
}

// named is who has each name, and where that is said.
type named map[schema.Hostname]struct{ who, at string }

// bind tells of a name that two have.
func (j *judgement) bind(holder named, h schema.Hostname, who, at, both, hint string) (told bool) {
	if first, taken := holder[h]; taken {
		message := fmt.Sprintf("%s is bound to "+both, h, first.who, who)
		if first.who == who {
			message = fmt.Sprintf("%s is listed twice", h)
		}
		j.problem("fleet/bound", at, message, hint, j.platform.Source.Find(first.at))
		return true
	}
	holder[h] = struct{ who, at string }{who, at}
	return false
}

// checkCertificates tells of names that clients would be shown the wrong certificate for.
func (j *judgement) checkCertificates() {
	s := j.service
	fleet, _ := j.platform.Fleet(s.Fleet)
	l, _ := fleet.Listener(s.Exposure)
	if l.TLS == nil {
		return
	}
	shown := fleet.Certified(s.Exposure)
	known := names(shown, func(c schema.Certificate) schema.CertificateID { return c.ID })
	for i, h := range s.Hosts[:min(len(s.Hosts), maxHosts)] {
		if _, is := schema.For(h, shown); !is {
			j.problem("host/certificate", fmt.Sprintf("hosts[%d]", i), fmt.Sprintf("no certificate of fleet %s is for %s", fleet.ID, h),
				"ask the platform team for one; those of this fleet are "+join(slices.Compact(known)))
		}
	}
}
