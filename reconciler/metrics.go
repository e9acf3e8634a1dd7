package reconciler

import "github.com/prometheus/client_golang/prometheus"

// Metrics are the loop's own; the view gives the rest.
type Metrics struct {
	Steps    *prometheus.CounterVec // by kind and verb: steps that came true
	Failures *prometheus.CounterVec // by where: source, forge, zone, call, proxy, store
	Drift    prometheus.Counter     // changes by others that were found
	Missed   prometheus.Counter     // steps that only a sweep found: an incremental pass had missed them
	Passes   prometheus.Histogram   // seconds
	Served   prometheus.Histogram   // seconds from a commit being heard of until every proxy had it
}

// NewMetrics makes the metrics and registers them.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		Steps: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "edgewright_steps_total",
			Help: "Steps that came true, by kind and verb."}, []string{"kind", "verb"}),
		Failures: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "edgewright_failures_total",
			Help: "Failures, by where they happened: source, forge, zone, call, proxy, store."}, []string{"where"}),
		Drift: prometheus.NewCounter(prometheus.CounterOpts{Name: "edgewright_drift_total",
			Help: "Changes by others to resources of ours that were found."}),
		Missed: prometheus.NewCounter(prometheus.CounterOpts{Name: "edgewright_sweep_missed_total",
			Help: "Differences that a full sweep found and the incremental passes had not."}),
		Passes: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "edgewright_pass_seconds",
			Help: "Duration of a pass.", Buckets: prometheus.ExponentialBuckets(0.0001, 4, 8)}),
		Served: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "edgewright_commit_served_seconds",
			Help: "Time from a commit being heard of until every connected proxy had acknowledged it.", Buckets: prometheus.ExponentialBuckets(0.01, 2, 12)}),
	}
	reg.MustRegister(m.Steps, m.Failures, m.Drift, m.Missed, m.Passes, m.Served)
	return m
}
