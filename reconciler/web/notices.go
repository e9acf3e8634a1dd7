package web

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Notice is something that the log warned of.
type Notice struct {
	At    time.Time `json:"at"`
	Level string    `json:"level"`
	Text  string    `json:"text"`
	Times int       `json:"times"` // the same in a row
}

// maxNotices is how many are kept, and maxNotice how long one may be.
const (
	maxNotices = 50
	maxNotice  = 500
)

// Notices are the last warnings of the log, for the page and for metrics: whatever goes wrong is in the log, and so it is here too.
type Notices struct {
	total *prometheus.CounterVec

	mu   sync.Mutex
	last []Notice // oldest first
}

// NewNotices makes the record and registers its metric.
func NewNotices(reg prometheus.Registerer) *Notices {
	n := &Notices{total: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "edgewright_log_warnings_total",
		Help: "Records of the log by level, warnings and worse."}, []string{"level"})}
	reg.MustRegister(n.total)
	return n
}

// All are the notices, newest first.
func (n *Notices) All() []Notice {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := slices.Clone(n.last)
	slices.Reverse(out)
	return out
}

func (n *Notices) add(at time.Time, level slog.Level, text string) {
	n.total.WithLabelValues(strings.ToLower(level.String())).Inc()
	text = strings.ToValidUTF8(text[:min(len(text), maxNotice)], "?")
	n.mu.Lock()
	defer n.mu.Unlock()
	if i := len(n.last) - 1; i >= 0 && n.last[i].Text == text {
		n.last[i].At, n.last[i].Times = at, n.last[i].Times+1
		return
	}
	n.last = append(n.last, Notice{at, level.String(), text, 1})
	if extra := len(n.last) - maxNotices; extra > 0 {
		n.last = slices.Delete(n.last, 0, extra)
	}
}

// Handler passes records on, and keeps the warnings.
func (n *Notices) Handler(next slog.Handler) slog.Handler { return &recorder{notices: n, next: next} }

type recorder struct {
	notices *Notices
	next    slog.Handler
	prefix  string // of attributes that With gave
}

// Enabled implements slog.Handler.
func (r *recorder) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn || r.next.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (r *recorder) Handle(ctx context.Context, record slog.Record) error {
	if record.Level >= slog.LevelWarn {
		var b strings.Builder
		b.WriteString(record.Message + r.prefix)
		record.Attrs(func(a slog.Attr) bool {
			fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
			return true
		})
		r.notices.add(record.Time, record.Level, b.String())
	}
	if !r.next.Enabled(ctx, record.Level) {
		return nil
	}
	return r.next.Handle(ctx, record)
}

// WithAttrs implements slog.Handler.
func (r *recorder) WithAttrs(attrs []slog.Attr) slog.Handler {
	prefix := r.prefix
	for _, a := range attrs {
		prefix += fmt.Sprintf(" %s=%v", a.Key, a.Value)
	}
	return &recorder{r.notices, r.next.WithAttrs(attrs), prefix}
}

// WithGroup implements slog.Handler.
func (r *recorder) WithGroup(name string) slog.Handler {
	return &recorder{r.notices, r.next.WithGroup(name), r.prefix}
}
