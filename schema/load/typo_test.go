package load_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/edgewright/edgewright/fixtures"
	"github.com/edgewright/edgewright/schema/load"
)

// typos are one letter too many, too few, wrong, or two that changed places: what was written, what was meant, and where.
var typos = []struct{ wrong, right string }{
	{"ownr", "owner"}, {"onwer", "owner"}, {"owners", "owner"}, {"host", "hosts"}, {"hsots", "hosts"}, {"hostss", "hosts"}, {"hoszs", "hosts"},
	{"exposre", "exposure"}, {"expsoure", "exposure"}, {"expossure", "exposure"}, {"exposuer", "exposure"}, {"flet", "fleet"}, {"feet", "fleet"}, {"fleat", "fleet"}, {"flete", "fleet"},
	{"tiar", "tier"}, {"teir", "tier"}, {"backend", "backends"}, {"bakcends", "backends"}, {"backens", "backends"}, {"route", "routes"}, {"ruotes", "routes"}, {"rotues", "routes"},
	{"waiver", "waivers"}, {"wavers", "waivers"}, {"waviers", "waivers"},
	{"owner.oncal", "oncall"}, {"owner.onclal", "oncall"}, {"owner.oncalll", "oncall"}, {"owner.taem", "team"},
	{"backend.adresses", "addresses"}, {"backend.addreses", "addresses"}, {"backend.address", "addresses"}, {"backend.dsn", "dns"}, {"backend.prot", "port"}, {"backend.helth", "health"},
	{"health.pth", "path"}, {"health.inteval", "interval"}, {"health.intreval", "interval"}, {"health.timout", "timeout"}, {"health.heathy", "healthy"}, {"health.unhealty", "unhealthy"},
	{"route.nmae", "name"}, {"route.macth", "match"}, {"route.foward", "forward"}, {"route.redirct", "redirect"}, {"route.repsond", "respond"}, {"route.header", "headers"},
	{"forward.too", "to"}, {"forward.timeuot", "timeout"}, {"forward.retrys", "retries"}, {"match.pathh", "path"}, {"match.methds", "methods"}, {"match.haeders", "headers"},
}

// TestTypos holds that the field which was meant is named for at least 95 % of one-letter typos.
func TestTypos(t *testing.T) {
	if len(typos) < 50 {
		t.Fatalf("%d typos, want at least 50", len(typos))
	}
	right := 0
	for _, typo := range typos {
		where, wrong, nested := strings.Cut(typo.wrong, ".")
		if !nested {
			where, wrong = "", where
		}
		files := fixtures.Over(fixtures.Declarations(fixtures.EdgeConfig()), load.File{Path: "services/trello/trello-web.cue", Data: []byte(mistyped(where, wrong))})
		commit := loadAll(t, files)
		if len(commit.Problems) == 0 {
			t.Fatalf("%s: no problem", typo.wrong)
		}
		hint := ""
		for _, p := range commit.Problems {
			if p.Code == "field/unknown" {
				hint = p.Hint
			}
		}
		if hint == fmt.Sprintf("did you mean %s?", typo.right) {
			right++
		} else {
			t.Logf("%s: want %s, told %q", typo.wrong, typo.right, hint)
		}
	}
	if share := float64(right) / float64(len(typos)); share < 0.95 {
		t.Errorf("%d of %d hints are right: %.0f %%", right, len(typos), 100*share)
	}
}

// mistyped is a service that has a field of a wrong name somewhere, and there has no other than it needs.
func mistyped(where, name string) string {
	field := name + ": _x\n"
	in := func(place string) string {
		if place == where {
			return field
		}
		return ""
	}
	text := `package services

services: "trello-web": {
	owner: {` + in("owner") + `}
	backends: web: {` + in("backend") + `
		health: {` + in("health") + `}
	}
	routes: [{
		` + in("route") + `
		match: {` + in("match") + `}
		forward: {` + in("forward") + `}
	}]
	` + in("") + `
}
`
	return strings.ReplaceAll(text, "_x", "1")
}
