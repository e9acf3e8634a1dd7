package github

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/reconciler/secret"
)

const (
	hookSecret = "hook-secret"
	sha        = "1111111111222222222233333333334444444444"
)

func sign(body string) string {
	mac := hmac.New(sha256.New, []byte(hookSecret))
	mac.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func delivery(event, id, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/webhook", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Header.Set("X-GitHub-Event", event)
	r.Header.Set("X-GitHub-Delivery", id)
	r.Header.Set("X-Hub-Signature-256", sign(body))
	return r
}

func TestWebhook(t *testing.T) {
	push := `{"ref":"refs/heads/main","after":"` + sha + `"}`
	pull := `{"action":"synchronize","number":7,"pull_request":{"number":7,"head":{"sha":"` + sha + `"}}}`
	change := func(r *http.Request, f func(*http.Request)) *http.Request { f(r); return r }
	for _, c := range []struct {
		name    string
		r       *http.Request
		code    int
		want    *Hint
		outcome string
	}{
		{"push", delivery("push", "1", push), 202, &Hint{Event: "push", Ref: "refs/heads/main", SHA: sha}, "taken"},
		{"pull", delivery("pull_request", "1", pull), 202, &Hint{Event: "pull_request", Pull: 7, SHA: sha}, "taken"},
		{"comment", delivery("issue_comment", "1", `{"issue":{"number":7,"pull_request":{}}}`), 202, &Hint{Event: "issue_comment", Pull: 7}, "taken"},
		{"comment on an issue", delivery("issue_comment", "1", `{"issue":{"number":7}}`), 204, nil, "ignored"},
		{"deleted branch", delivery("push", "1", `{"ref":"refs/heads/x","after":"`+strings.Repeat("0", 40)+`"}`), 202, &Hint{Event: "push", Ref: "refs/heads/x"}, "taken"},
		{"odd commit", delivery("push", "1", `{"ref":"r","after":"../../etc"}`), 202, &Hint{Event: "push", Ref: "r"}, "taken"},
		{"ping", delivery("ping", "1", `{}`), 200, nil, "ignored"},
		{"unknown event", delivery("star", "1", `{}`), 204, nil, "ignored"},
		{"no JSON", delivery("push", "1", `{`), 400, nil, "broken"},
		{"no ref", delivery("push", "1", `{}`), 400, nil, "broken"},
		{"long ref", delivery("push", "1", `{"ref":"`+strings.Repeat("r", 256)+`"}`), 400, nil, "broken"},
		{"oversize", delivery("push", "1", strings.Repeat(" ", mostBody+1)), 413, nil, "oversize"},
		{"just fits", delivery("push", "1", push+strings.Repeat(" ", mostBody-len(push))), 202, &Hint{Event: "push", Ref: "refs/heads/main", SHA: sha}, "taken"},
		{"GET", httptest.NewRequest(http.MethodGet, "/webhook", nil), 405, nil, ""},
		{"no signature", change(delivery("push", "1", push), func(r *http.Request) { r.Header.Del("X-Hub-Signature-256") }), 401, nil, "refused"},
		{"another body's signature", change(delivery("push", "1", push), func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", sign(pull)) }), 401, nil, "refused"},
		{"cut signature", change(delivery("push", "1", push), func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", sign(push)[:20]) }), 401, nil, "refused"},
		{"SHA-1 only", change(delivery("push", "1", push), func(r *http.Request) {
			r.Header.Set("X-Hub-Signature", "sha1=00")
			r.Header.Del("X-Hub-Signature-256")
		}), 401, nil, "refused"},
		{"form", change(delivery("push", "1", push), func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }), 415, nil, "broken"},
	} {
		t.Run(c.name, func(t *testing.T) {
			hints, outcome := make(chan Hint, 1), ""
			var log bytes.Buffer
			h := Handler(secret.New(hookSecret), hints, slog.New(slog.NewTextHandler(&log, nil)), func(o string) { outcome = o })
			w := httptest.NewRecorder()
			h.ServeHTTP(w, c.r)
			if w.Code != c.code || outcome != c.outcome {
				t.Errorf("%d %s, want %d %s", w.Code, outcome, c.code, c.outcome)
			}
			var got *Hint
			if len(hints) > 0 {
				hint := <-hints
				got = &hint
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if (c.code >= 400 && c.code != 405) != (log.Len() > 0) {
				t.Errorf("log: %q", log.String())
			}
			if strings.Contains(log.String(), hookSecret) {
				t.Error("the secret is in the log")
			}
		})
	}
}

func TestNoSecretRefusesEverything(t *testing.T) {
	hints := make(chan Hint, 1)
	body := `{"ref":"r"}`
	r := delivery("push", "1", body)
	mac := hmac.New(sha256.New, nil)
	mac.Write([]byte(body))
	r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	w := httptest.NewRecorder()
	Handler(secret.Value{}, hints, nil, nil).ServeHTTP(w, r)
	if w.Code != 401 || len(hints) != 0 {
		t.Errorf("%d, %d hints", w.Code, len(hints))
	}
}

func TestDeliveriesAreTakenOnce(t *testing.T) {
	hints := make(chan Hint, 3*mostDeliveries)
	outcomes := map[string]int{}
	h := Handler(secret.New(hookSecret), hints, nil, func(o string) { outcomes[o]++ })
	send := func(id string) { h.ServeHTTP(httptest.NewRecorder(), delivery("push", id, `{"ref":"r"}`)) }
	for range 3 {
		send("same")
	}
	for i := range 2 * mostDeliveries {
		send(fmt.Sprint(i))
	}
	send("same") // so long ago that it is forgotten
	if outcomes["taken"] != 2*mostDeliveries+2 || outcomes["repeated"] != 2 {
		t.Errorf("%v", outcomes)
	}
	if n := len(h.(*Webhook).known); n != mostDeliveries {
		t.Errorf("%d deliveries are remembered", n)
	}
}

func TestAFullReaderDelaysNobody(t *testing.T) {
	dropped := 0
	h := Handler(secret.New(hookSecret), make(chan Hint), nil, func(o string) {
		if o == "dropped" {
			dropped++
		}
	})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, delivery("push", "1", `{"ref":"r"}`))
	if w.Code != 202 || dropped != 1 {
		t.Errorf("%d, %d dropped", w.Code, dropped)
	}
}

// FuzzWebhook sends signed bodies: whatever is in them, the answer is one of the known ones and a hint is in bounds.
func FuzzWebhook(f *testing.F) {
	for _, body := range []string{
		`{"ref":"refs/heads/main","after":"` + sha + `"}`, `{"pull_request":{"number":1,"head":{"sha":"x"}}}`, `{"issue":{"number":1,"pull_request":null}}`,
		`{`, `null`, `[]`, `{"ref":1}`, `{"pull_request":{"number":-1}}`, strings.Repeat("[", 20_000), "\xff",
	} {
		for _, event := range []string{"push", "pull_request", "issue_comment", "ping", ""} {
			f.Add(event, body, true)
		}
		f.Add("push", body, false)
	}
	f.Fuzz(func(t *testing.T, event, body string, signed bool) {
		hints := make(chan Hint, 1)
		r := delivery("x", "1", body)
		r.Header["X-Github-Event"] = []string{event}
		if !signed {
			r.Header.Set("X-Hub-Signature-256", sign(body+"x"))
		}
		w := httptest.NewRecorder()
		Handler(secret.New(hookSecret), hints, nil, nil).ServeHTTP(w, r)
		switch w.Code {
		case 200, 202, 204, 400:
			if !signed {
				t.Fatalf("%d without a signature", w.Code)
			}
		case 401, 413:
			if signed && w.Code == 401 {
				t.Fatal("a signed body was refused")
			}
		default:
			t.Fatalf("answer %d", w.Code)
		}
		if w.Code != 202 && len(hints) > 0 {
			t.Fatal("a hint from what was not taken")
		}
		if len(hints) > 0 {
			h := <-hints
			if h.Pull < 0 || len(h.Ref) > 255 || len(h.SHA) > 64 || h.Ref == "" && h.Pull == 0 {
				t.Fatalf("%+v", h)
			}
		}
	})
}
