package certificates

import "github.com/prometheus/client_golang/prometheus"

// collector gives the states as gauges.
type collector struct {
	keeper         *Keeper
	expiry, failed *prometheus.Desc
}

// Collector is the gauges of what a keeper keeps.
func Collector(k *Keeper) prometheus.Collector {
	labels := []string{"fleet", "name"}
	return &collector{
		keeper: k,
		expiry: prometheus.NewDesc("edgewright_certificate_expiry_seconds", "Seconds until the certificate that is shown ends; below 0: it has ended.", labels, nil),
		failed: prometheus.NewDesc("edgewright_certificate_failed", "Whether the files of a certificate are not taken as they are.", labels, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	out <- c.expiry
	out <- c.failed
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, s State) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, string(s.Fleet), s.Name)
	}
	now := c.keeper.Now()
	for _, s := range c.keeper.States() {
		if !s.Expires.IsZero() {
			gauge(c.expiry, s.Expires.Sub(now).Seconds(), s)
		}
		failed := 0.0
		if s.Why != "" {
			failed = 1
		}
		gauge(c.failed, failed, s)
	}
}
