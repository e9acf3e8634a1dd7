package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// The guards, by the names that people read.
const (
	GuardEmptyDesired = "empty-desired" // no service is declared any more
	GuardMassDelete   = "mass-delete"   // more of what exists would go than may at once
	GuardProtected    = "protected"     // a name or a kind of record that is protected would go
	GuardFreeze       = "freeze"        // nothing may change now
)

// Veto is a guard's refusal of some steps. Nothing is dropped: they stay planned and are shown with it.
type Veto struct {
	Guard   string   `json:"guard"`
	Message string   `json:"message"`
	Unblock string   `json:"unblock"`
	Steps   []string `json:"steps"`   // IDs
	Deletes int      `json:"deletes"` // the count that a person has to type: of the steps that all guards stop
}

// Known is what guards know beside the steps.
type Known struct {
	Edge     schema.Edge                 // as declared
	Existing func() Existing             // what is ours now; asked only if something is deleted
	Account  func(resource.Scope) string // of AWS that a scope is in, as people are told it; empty: in none
}

// Share is of what deletions are a share: of all resources of a kind, or of those in one scope (a zone, a fleet), of one service, or in
// one account.
type Share struct {
	Kind    resource.Kind
	Scope   resource.Scope   // empty: any
	Service schema.ServiceID // empty: any
	Account string           // as people are told it; empty: any
}

func (s Share) String() string {
	switch {
	case s.Scope != "":
		return fmt.Sprintf("%s in %s", plural(s.Kind), s.Scope)
	case s.Service != "":
		return fmt.Sprintf("%s of service %s", plural(s.Kind), s.Service)
	case s.Account != "":
		return fmt.Sprintf("%s in %s", plural(s.Kind), s.Account)
	}
	return plural(s.Kind)
}

// whole tells whether the share is of all resources of its kind.
func (s Share) whole() bool { return s == Share{Kind: s.Kind} }

// Existing counts resources by the shares that they belong to.
type Existing map[Share]int

// Add counts one resource. Its account is empty where it is in none.
func (e Existing) Add(key resource.Key, service schema.ServiceID, account string) {
	for _, share := range shares(key, service, account) {
		e[share]++
	}
}

func shares(key resource.Key, service schema.ServiceID, account string) []Share {
	if key.Kind == resource.EnvoyFleet {
		return nil
	}
	all := []Share{{Kind: key.Kind}, {Kind: key.Kind, Scope: key.Scope}}
	if service != "" {
		all = append(all, Share{Kind: key.Kind, Service: service})
	}
	if account != "" {
		all = append(all, Share{Kind: key.Kind, Account: account})
	}
	return all
}

// Guard vetoes what looks like an accident: that all services go, or more than the declared share or number of what exists of one kind (in
// all, in one zone or fleet, of one service, or in one account), or something that is protected. A person lets it go on by the count of all steps that are
// stopped.
func Guard(steps []Step, k Known) []Veto {
	return counted(append(guardDeletes(deletions(steps), k), guardProtected(steps, k.Edge)...))
}

// Narrow is what of vetoes is about these steps, with the count of those of them that are stopped.
func Narrow(vetoes []Veto, steps []Step) []Veto {
	about := map[string]bool{}
	for _, s := range steps {
		about[s.ID()] = true
	}
	var out []Veto
	for _, v := range vetoes {
		v.Steps = slices.DeleteFunc(slices.Clone(v.Steps), func(id string) bool { return !about[id] })
		if len(v.Steps) > 0 {
			out = append(out, v)
		}
	}
	return counted(out)
}

// counted is vetoes with the count of all steps that they stop.
func counted(vetoes []Veto) []Veto {
	stopped := map[string]bool{}
	for _, v := range vetoes {
		for _, id := range v.Steps {
			stopped[id] = true
		}
	}
	for i := range vetoes {
		vetoes[i].Deletes = len(stopped)
		vetoes[i].Unblock = fmt.Sprintf("if it is meant, apply the digest with --confirm-deletes %d", len(stopped))
	}
	return vetoes
}

func guardDeletes(deletes []Step, k Known) []Veto {
	switch {
	case len(deletes) == 0:
		return nil
	case len(k.Edge.Services) == 0:
		return []Veto{veto(GuardEmptyDesired, fmt.Sprintf("the repository declares no service at all; this would delete %s", counts(deletes)), deletes)}
	}
	sharesOf := func(s Step) []Share { return shares(s.Key, s.Service, k.Account(s.Key.Scope)) }
	gone, all := Existing{}, k.Existing()
	for _, s := range deletes {
		for _, share := range sharesOf(s) {
			gone[share]++
		}
	}
	var over []Share
	for share, n := range gone {
		if bound := exceeded(share, n, all[share], k.Edge.Platform.Deletions); bound != "" {
			over = append(over, share)
		}
	}
	if len(over) == 0 {
		return nil
	}
	slices.SortFunc(over, Share.compare)
	whole := over[0].whole()
	if whole { // then everything waits: a part of it says nothing more
		over = over[:1]
	}
	var why []string
	for i, share := range over {
		bound := exceeded(share, gone[share], all[share], k.Edge.Platform.Deletions)
		if i > 0 && strings.HasSuffix(why[i-1], ", "+bound) { // said once, behind the last that exceeds it
			why[i-1] = strings.TrimSuffix(why[i-1], ", "+bound)
		}
		why = append(why, fmt.Sprintf("%d of %d %s, %s", gone[share], all[share], share, bound))
	}
	stopped := slices.DeleteFunc(deletes, func(s Step) bool {
		return !whole && !slices.ContainsFunc(sharesOf(s), func(share Share) bool { return slices.Contains(over, share) })
	})
	return []Veto{veto(GuardMassDelete, fmt.Sprintf("this would delete %s: %s", counts(stopped), strings.Join(why, ", ")), stopped)}
}

// exceeded is the bound beyond which these deletions go; empty: none.
func exceeded(of Share, gone, existing int, d schema.Deletions) string {
	if bound, is := d.Share(gone, existing); is {
		return bound
	}
	if bound, is := d.Number(gone); is && !of.whole() {
		return bound
	}
	return ""
}

// compare puts services before records and the whole before its parts.
func (s Share) compare(o Share) int {
	part := func(s Share) int { return min(1, len(s.Scope)+len(s.Service)+len(s.Account)) }
	return cmp.Or(cmp.Compare(part(s), part(o)), -cmp.Compare(s.Kind, o.Kind), cmp.Compare(s.Service, o.Service),
		cmp.Compare(s.Account, o.Account), cmp.Compare(s.Scope, o.Scope))
}

func veto(guard, message string, steps []Step) Veto {
	v := Veto{Guard: guard, Message: message}
	for _, s := range steps {
		v.Steps = append(v.Steps, s.ID())
	}
	return v
}

// deletions are the steps that remove a resource for good.
func deletions(steps []Step) []Step {
	return slices.DeleteFunc(slices.Clone(steps), func(s Step) bool { return s.Verb != Delete })
}

// counts is "12 services and 14 records".
func counts(steps []Step) string {
	n := map[resource.Kind]int{}
	for _, s := range steps {
		n[s.Key.Kind]++
	}
	text := fmt.Sprintf("%d services and %d records", n[resource.EnvoyService], n[resource.DNSRecord])
	if checks := n[resource.DNSHealthCheck]; checks > 0 {
		text += fmt.Sprintf(", and %d health checks", checks)
	}
	return text
}

func plural(k resource.Kind) string {
	switch k {
	case resource.DNSRecord:
		return "records"
	case resource.DNSHealthCheck:
		return "health checks"
	}
	return "services"
}
