package web

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestNoticesOnThePage(t *testing.T) {
	notices := NewNotices(prometheus.NewRegistry())
	log := slog.New(notices.Handler(slog.DiscardHandler)).With("scope", "zone/example.com")
	log.Info("quiet")
	log.Warn("slow")
	for range 3 {
		log.Error("cannot list", "error", "<script>x</script>")
	}
	body := newWorld(t, func(c *Config) { c.Notices = notices }).ask("GET", "/", "").Body.String()
	_, body, found := strings.Cut(body, `id="notices"`)
	first, second := strings.Index(body, "cannot list scope=zone/example.com error=&lt;script&gt;"), strings.Index(body, "slow scope=zone/example.com")
	if !found || first < 0 || second < first || !strings.Contains(body, "3 times") || strings.Contains(body, "quiet") || strings.Contains(body, "<script>") {
		t.Errorf("got %s", body)
	}
	if body := newWorld(t).ask("GET", "/", "").Body.String(); strings.Contains(body, `id="notices"`) {
		t.Error("notices though none are kept")
	}
}
