package schema

import (
	"slices"
	"time"
)

// DriftMode says what becomes of what somebody else changes in AWS.
type DriftMode string

const (
	Heal   DriftMode = "heal"   // it is put back
	Report DriftMode = "report" // nothing is changed in AWS that nobody has agreed to: it is shown, and waits for a person
	Pause  DriftMode = "pause"  // nothing of the service is changed at all
)

// Freeze is a time in which nothing is changed. Without fleets, teams, services and zones it is for everything, else for whatever one of
// them names.
type Freeze struct {
	Reason   string      `json:"reason"`
	From     Date        `json:"from,omitzero"`  // the first day; zero: at once
	Until    Date        `json:"until,omitzero"` // the last day
	Fleets   []FleetID   `json:"fleets,omitempty"`
	Teams    []TeamID    `json:"teams,omitempty"`
	Services []ServiceID `json:"services,omitempty"`
	Zones    []Hostname  `json:"zones,omitempty"`
}

// Holds tells whether the freeze is on at a time. Its days are those of UTC.
func (f Freeze) Holds(now time.Time) bool {
	today := DateOf(now.UTC())
	return (f.From.IsZero() || today.DaysUntil(f.From) <= 0) && today.DaysUntil(f.Until) >= 0
}

// Covers tells whether the freeze is for something: what a service, its team, a fleet and a zone have to do with it; each may be empty.
func (f Freeze) Covers(service ServiceID, team TeamID, fleet FleetID, zone Hostname) bool {
	if len(f.Fleets)+len(f.Teams)+len(f.Services)+len(f.Zones) == 0 {
		return true
	}
	return service != "" && slices.Contains(f.Services, service) || team != "" && slices.Contains(f.Teams, team) ||
		fleet != "" && slices.Contains(f.Fleets, fleet) || zone != "" && slices.Contains(f.Zones, zone)
}
