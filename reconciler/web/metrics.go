package web

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// collector gives the view and the proxies as gauges, read when they are asked for.
type collector struct {
	loop    Loop
	proxies Proxies

	services, steps, problems, connected, lag, behind, refusals, zoneAge, zoneUp, sourceUp, forgeUp, pending, commit *prometheus.Desc
}

// Collector is the gauges of what is shown on the status page.
func Collector(loop Loop, proxies Proxies) prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("edgewright_"+name, help, labels, nil)
	}
	return &collector{
		loop: loop, proxies: proxies,
		services:  desc("services", "Services by state.", "state"),
		steps:     desc("steps_pending", "Steps that are not done, by state.", "state"),
		problems:  desc("problems", "Problems of declarations at the tip of the branch."),
		connected: desc("proxies", "Connected proxies by fleet.", "fleet"),
		lag:       desc("proxy_lag_seconds", "How long the oldest change that a proxy has not acknowledged is published; 0: it has everything.", "fleet", "node"),
		behind:    desc("proxy_behind", "Services of which a proxy has not acknowledged the newest version.", "fleet", "node"),
		refusals:  desc("proxy_refusals", "Services that a proxy refuses at present, by fleet.", "fleet"),
		zoneAge:   desc("zone_age_seconds", "Age of the newest complete listing of a zone.", "scope"),
		zoneUp:    desc("zone_up", "Whether the last listing of a zone succeeded.", "scope"),
		sourceUp:  desc("source_up", "Whether the repository could be fetched last."),
		forgeUp:   desc("forge_up", "Whether the forge answered last."),
		pending:   desc("waits_for_person", "Whether steps wait until a person agrees."),
		commit:    desc("commit_info", "The commit of the branch that is made true.", "commit"),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.services, c.steps, c.problems, c.connected, c.lag, c.behind, c.refusals, c.zoneAge, c.zoneUp, c.sourceUp, c.forgeUp, c.pending, c.commit} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	v := c.loop.View()
	services, steps := map[string]float64{}, map[string]float64{}
	for _, s := range v.Services {
		services[s.State]++
	}
	for _, s := range v.Steps {
		steps[string(s.State)]++
	}
	for state, n := range services {
		gauge(c.services, n, state)
	}
	for state, n := range steps {
		gauge(c.steps, n, state)
	}
	gauge(c.problems, float64(len(v.Problems)))
	for _, z := range v.Zones {
		gauge(c.zoneUp, truth(z.Error == ""), string(z.Scope))
		if !z.Taken.IsZero() {
			gauge(c.zoneAge, time.Since(z.Taken).Seconds(), string(z.Scope))
		}
	}
	gauge(c.sourceUp, truth(v.Source == ""))
	gauge(c.forgeUp, truth(v.Forge == ""))
	gauge(c.pending, truth(v.Pending != ""))
	gauge(c.commit, 1, v.Commit)
	c.collectProxies(gauge)
}

func (c *collector) collectProxies(gauge func(*prometheus.Desc, float64, ...string)) {
	connected, refusals := map[string]float64{}, map[string]float64{}
	for _, n := range c.proxies.Nodes() {
		connected[string(n.Fleet)]++
		gauge(c.lag, n.Lag.Seconds(), string(n.Fleet), n.ID)
		gauge(c.behind, float64(n.Behind), string(n.Fleet), n.ID)
	}
	for fleet, n := range connected {
		gauge(c.connected, n, fleet)
	}
	for _, r := range c.proxies.Refusals() {
		refusals[string(r.Fleet)]++
	}
	for fleet, n := range refusals {
		gauge(c.refusals, n, fleet)
	}
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
