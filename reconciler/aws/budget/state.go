package budget

import (
	"maps"

	"github.com/prometheus/client_golang/prometheus"
)

// Count is what was asked of one action.
type Count struct {
	Requests  int `json:"requests"`
	Changes   int `json:"changes,omitempty"`
	Throttled int `json:"throttled"` // of the requests
}

// State is a budget at a moment.
type State struct {
	Rate       float64          `json:"rate"`  // requests a second that are made at most now
	Limit      float64          `json:"limit"` // at best
	Saved      float64          `json:"saved"` // requests that may go at once
	People     int              `json:"people"`
	Background int              `json:"background"` // calls that wait
	Actions    map[string]Count `json:"actions"`
}

// State tells where the budget stands.
func (b *Budget) State() State {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.account.fill(b.now())
	s := State{Rate: b.account.rate * b.account.share, Limit: b.account.rate, Saved: b.account.tokens, Actions: maps.Clone(b.counts)}
	for _, w := range b.waiting {
		if w.job.Class == People {
			s.People++
		} else {
			s.Background++
		}
	}
	return s
}

// collector gives the states as metrics, read when they are asked for.
type collector struct {
	accounts                               *Accounts
	requests, throttled, rate, saved, wait *prometheus.Desc
}

// Collector is the metrics of budgets. The label account is empty for the daemon's own.
func Collector(a *Accounts) prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("edgewright_aws_"+name, help, append([]string{"account"}, labels...), nil)
	}
	return &collector{accounts: a,
		requests:  desc("requests_total", "Requests to AWS, by action.", "action"),
		throttled: desc("throttled_total", "Requests that AWS refused for their rate, by action.", "action"),
		rate:      desc("rate", "Requests a second that are made at most; less than at best after AWS refused some."),
		saved:     desc("rate_saved", "Requests that may be made at once."),
		wait:      desc("waiting", "Requests that wait for the rate, by whose they are.", "class")}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.requests, c.throttled, c.rate, c.saved, c.wait} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	for _, s := range c.accounts.States() {
		send := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
			out <- prometheus.MustNewConstMetric(d, kind, v, append([]string{s.Account}, labels...)...)
		}
		for action, n := range s.Actions {
			send(c.requests, prometheus.CounterValue, float64(n.Requests), action)
			send(c.throttled, prometheus.CounterValue, float64(n.Throttled), action)
		}
		send(c.rate, prometheus.GaugeValue, s.Rate)
		send(c.saved, prometheus.GaugeValue, s.Saved)
		send(c.wait, prometheus.GaugeValue, float64(s.People), "people")
		send(c.wait, prometheus.GaugeValue, float64(s.Background), "background")
	}
}
