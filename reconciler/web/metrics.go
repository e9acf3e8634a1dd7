package web

import (
	"runtime/debug"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/election"
	"github.com/edgewright/edgewright/schema"
)

// collector gives the view and the proxies as gauges, read when they are asked for.
type collector struct {
	loop    Loop
	proxies Proxies
	leader  func() election.Standing
	version string

	services, steps, problems, connected, lag, behind, refusals, zoneAge, zoneUp, sourceUp, forgeUp, waiting, leads, epoch, about *prometheus.Desc
}

// Collector is the gauges of what is shown on the status page. Every state and fleet that could be alerted on is there from the
// start, with 0.
func Collector(loop Loop, proxies Proxies, leader func() election.Standing) prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("edgewright_"+name, help, labels, nil)
	}
	return &collector{
		loop: loop, proxies: proxies, leader: leader, version: builtFrom(),
		services:  desc("services", "Services by state.", "state"),
		steps:     desc("steps_pending", "Steps that are not done, by state.", "state"),
		problems:  desc("problems", "Problems of declarations at the tip of the branch."),
		connected: desc("proxies", "Connected proxies by fleet.", "fleet"),
		lag:       desc("proxy_lag_seconds", "How long the oldest change that a proxy has not acknowledged is published; 0: it has everything.", "node", "fleet"),
		behind:    desc("proxy_behind", "Services of which a proxy has not acknowledged the newest version.", "node", "fleet"),
		refusals:  desc("proxy_refusals", "Published content that a proxy refuses at present, by fleet.", "fleet"),
		zoneAge:   desc("zone_age_seconds", "Age of the newest complete listing of a zone.", "scope"),
		zoneUp:    desc("zone_up", "Whether a zone was listed and its last listing succeeded.", "scope"),
		sourceUp:  desc("source_up", "Whether the repository could be fetched last."),
		forgeUp:   desc("forge_up", "Whether the forge answered last."),
		waiting:   desc("waits_for_person", "Whether steps wait until a person agrees."),
		leads:     desc("leads", "Whether this process leads; of all on one state, one does."),
		epoch:     desc("lease_epoch", "How often the lead has changed hands, as far as this process knows."),
		about:     desc("info", "Always 1; the commit of the branch that is made true, and the version of this program.", "commit", "version"),
	}
}

func builtFrom() string {
	if build, ok := debug.ReadBuildInfo(); ok {
		return build.Main.Version
	}
	return "unknown"
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.services, c.steps, c.problems, c.connected, c.lag, c.behind, c.refusals, c.zoneAge, c.zoneUp,
		c.sourceUp, c.forgeUp, c.waiting, c.leads, c.epoch, c.about} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		for i := range labels {
			labels[i] = strings.ToValidUTF8(labels[i], "�") // else collecting would end the program
		}
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	v := c.loop.View()
	for state, n := range serviceStates(v) {
		gauge(c.services, n, state)
	}
	for state, n := range stepStates(v) {
		gauge(c.steps, n, string(state))
	}
	for _, z := range v.Zones {
		gauge(c.zoneUp, truth(z.Error == "" && !z.Taken.IsZero()), string(z.Scope))
		if !z.Taken.IsZero() {
			gauge(c.zoneAge, time.Since(z.Taken).Seconds(), string(z.Scope)) // the view may be old itself, which is to be seen
		}
	}
	gauge(c.problems, float64(len(v.Problems)))
	gauge(c.sourceUp, truth(v.Source == ""))
	gauge(c.forgeUp, truth(v.Forge == ""))
	gauge(c.waiting, truth(v.Pending != ""))
	standing := c.leader()
	gauge(c.leads, truth(standing.Leads))
	gauge(c.epoch, float64(standing.Epoch))
	gauge(c.about, 1, v.Commit, c.version)
	c.collectProxies(v, gauge)
}

func serviceStates(v *reconciler.View) map[string]float64 {
	n := map[string]float64{"converged": 0, "changing": 0, "held": 0, "lingering": 0, "unknown": 0}
	for _, s := range v.Services {
		n[s.State]++
	}
	return n
}

func stepStates(v *reconciler.View) map[reconciler.State]float64 {
	n := map[reconciler.State]float64{reconciler.Ready: 0, reconciler.Applying: 0, reconciler.Waits: 0, reconciler.Approval: 0,
		reconciler.Vetoed: 0, reconciler.Clashes: 0, reconciler.Failing: 0}
	for _, s := range v.Steps {
		n[s.State]++
	}
	return n
}

func (c *collector) collectProxies(v *reconciler.View, gauge func(*prometheus.Desc, float64, ...string)) {
	connected, refusals := map[schema.FleetID]float64{}, map[schema.FleetID]float64{}
	for _, s := range v.Services {
		connected[s.Fleet], refusals[s.Fleet] = 0, 0
	}
	for _, n := range c.proxies.Nodes() {
		connected[n.Fleet]++
		gauge(c.lag, n.Lag.Seconds(), n.ID, string(n.Fleet))
		gauge(c.behind, float64(n.Behind), n.ID, string(n.Fleet))
	}
	for _, r := range c.proxies.Refusals() {
		refusals[r.Fleet]++
	}
	for fleet, n := range connected {
		gauge(c.connected, n, string(fleet))
	}
	for fleet, n := range refusals {
		gauge(c.refusals, n, string(fleet))
	}
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
