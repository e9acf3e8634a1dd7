package reconciler

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the loop's own; the view gives the rest.
type Metrics struct {
	Steps    *prometheus.CounterVec // by kind and verb: steps that came true
	Failures *prometheus.CounterVec // by where: source, forge, zone, call, proxy, store
	Drift    prometheus.Counter     // changes by others that were found
	Missed   prometheus.Counter     // steps that only a sweep found: an incremental pass had missed them
	Passes   prometheus.Histogram   // seconds
	Served   prometheus.Histogram   // seconds from a commit being heard of until every proxy had it

	Validations    *prometheus.CounterVec // by outcome: contents that Envoy was asked about
	KnownContents  prometheus.Counter     // contents that needed no validation
	ValidationRuns prometheus.Histogram   // seconds of a run of Envoy
}

// Ran notes a run of Envoy.
func (m *Metrics) Ran(d time.Duration) { m.ValidationRuns.Observe(d.Seconds()) }

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
		Validations: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "edgewright_validations_total",
			Help: "Contents of services that Envoy was asked about before they were published, by outcome: taken, refused, unsure."}, []string{"outcome"}),
		KnownContents: prometheus.NewCounter(prometheus.CounterOpts{Name: "edgewright_validation_hits_total",
			Help: "Contents of commits and pulls that were validated before."}),
		ValidationRuns: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "edgewright_validation_run_seconds",
			Help: "Duration of a run of Envoy that validates.", Buckets: prometheus.ExponentialBuckets(0.02, 2, 12)}),
	}
	reg.MustRegister(m.Steps, m.Failures, m.Drift, m.Missed, m.Passes, m.Served, m.Validations, m.KnownContents, m.ValidationRuns)
	return m
}
