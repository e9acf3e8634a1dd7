package github

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"sync"

	"github.com/edgewright/edgewright/reconciler/secret"
)

// Hint says that something may have changed at the forge. It is never more than that: what is true is asked for.
type Hint struct {
	Event string // push, pull_request or issue_comment
	Ref   string // of a push
	SHA   string // that the ref or the pull's head came to be at, if told
	Pull  int    // 0: none
}

const (
	mostBody       = 1 << 20
	mostDeliveries = 1024
)

// Webhook takes deliveries. Fill in the fields; it never waits for whoever reads Hints.
type Webhook struct {
	Secret secret.Value // empty: every delivery is refused
	Hints  chan<- Hint  // a hint that finds it full is dropped: others are waiting there already
	Log    *slog.Logger
	Count  func(outcome string) // taken, repeated, ignored, dropped, refused, oversize or broken; nil: nobody counts

	mu    sync.Mutex
	known map[string]bool
	order []string // of known, oldest first
}

// Handler is a webhook receiver.
func Handler(key secret.Value, hints chan<- Hint, log *slog.Logger, count func(outcome string)) http.Handler {
	return &Webhook{Secret: key, Hints: hints, Log: log, Count: count}
}

// ServeHTTP judges a delivery: method and size, signature over the very bytes, then what it is about.
func (h *Webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "webhooks are POSTed", http.StatusMethodNotAllowed)
		return
	}
	if h.Secret.Empty() {
		h.turnAway(w, r, http.StatusUnauthorized, "refused", "no webhook secret is set here: give the daemon one")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostBody))
	if err != nil {
		var tooLong *http.MaxBytesError
		if errors.As(err, &tooLong) {
			h.turnAway(w, r, http.StatusRequestEntityTooLarge, "oversize", "the delivery is longer than 1 MiB")
			return
		}
		h.turnAway(w, r, http.StatusBadRequest, "broken", "the delivery ended early")
		return
	}
	if !h.signed(body, r.Header.Get("X-Hub-Signature-256")) {
		h.turnAway(w, r, http.StatusUnauthorized, "refused", "the signature is wrong")
		return
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		h.turnAway(w, r, http.StatusUnsupportedMediaType, "broken", "set the webhook's content type to application/json")
		return
	}
	h.take(w, r, body)
}

func (h *Webhook) take(w http.ResponseWriter, r *http.Request, body []byte) {
	event := r.Header.Get("X-GitHub-Event")
	if event == "ping" {
		h.count("ignored")
		w.WriteHeader(http.StatusOK)
		return
	}
	hint, about, err := read(event, body)
	switch {
	case err != nil:
		h.turnAway(w, r, http.StatusBadRequest, "broken", "the payload is not what its event has")
		return
	case !about:
		h.count("ignored")
		w.WriteHeader(http.StatusNoContent)
		return
	case h.repeated(r.Header.Get("X-GitHub-Delivery")):
		h.count("repeated")
		w.WriteHeader(http.StatusAccepted)
		return
	}
	select {
	case h.Hints <- hint:
		h.count("taken")
	default:
		h.count("dropped")
	}
	w.WriteHeader(http.StatusAccepted)
}

// signed compares in constant time.
func (h *Webhook) signed(body []byte, header string) bool {
	sum, is := strings.CutPrefix(header, "sha256=")
	claimed, err := hex.DecodeString(sum)
	if !is || err != nil || h.Secret.Empty() {
		return false
	}
	mac := hmac.New(sha256.New, []byte(h.Secret.Reveal()))
	mac.Write(body)
	return hmac.Equal(claimed, mac.Sum(nil))
}

// repeated tells whether a delivery came before, among the last thousand.
func (h *Webhook) repeated(id string) bool {
	if id == "" || len(id) > 100 {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.known[id] {
		return true
	}
	if h.known == nil {
		h.known = map[string]bool{}
	}
	if len(h.order) == mostDeliveries {
		delete(h.known, h.order[0])
		h.order = h.order[1:]
	}
	h.known[id] = true
	h.order = append(h.order, id)
	return false
}

func (h *Webhook) turnAway(w http.ResponseWriter, r *http.Request, code int, outcome, why string) {
	h.count(outcome)
	if h.Log != nil {
		h.Log.Warn("webhook delivery turned away", "why", why, "from", r.RemoteAddr, "event", cut(r.Header.Get("X-GitHub-Event")),
			"delivery", cut(r.Header.Get("X-GitHub-Delivery")))
	}
	http.Error(w, why, code)
}

func cut(s string) string { return s[:min(len(s), 64)] }

func (h *Webhook) count(outcome string) {
	if h.Count != nil {
		h.Count(outcome)
	}
}

// payload is the part of the three events that is looked at.
type payload struct {
	Ref         string `json:"ref"`
	After       string `json:"after"`
	Number      int    `json:"number"`
	PullRequest *struct {
		Number int                  `json:"number"`
		Head   struct{ SHA string } `json:"head"`
	} `json:"pull_request"`
	Issue *struct {
		Number      int              `json:"number"`
		PullRequest *json.RawMessage `json:"pull_request"`
	} `json:"issue"`
}

// read makes a hint of a payload. about is false for what concerns nobody here.
func read(event string, body []byte) (hint Hint, about bool, err error) {
	switch event {
	case "push", "pull_request", "issue_comment":
	default:
		return Hint{}, false, nil
	}
	var p payload
	if err := json.Unmarshal(body, &p); err != nil {
		return Hint{}, false, err
	}
	switch {
	case event == "push" && p.Ref != "" && len(p.Ref) <= 255:
		return Hint{Event: event, Ref: p.Ref, SHA: commit(p.After)}, true, nil
	case event == "pull_request" && p.PullRequest != nil && p.PullRequest.Number > 0:
		return Hint{Event: event, Pull: p.PullRequest.Number, SHA: commit(p.PullRequest.Head.SHA)}, true, nil
	case event == "issue_comment" && p.Issue != nil && p.Issue.Number > 0 && p.Issue.PullRequest != nil:
		return Hint{Event: event, Pull: p.Issue.Number}, true, nil
	case event == "issue_comment" && p.Issue != nil && p.Issue.Number > 0:
		return Hint{}, false, nil // on an issue
	}
	return Hint{}, false, errors.New("a field is missing")
}

// commit is a commit's hash, or nothing where the text is none.
func commit(s string) string {
	if (len(s) != 40 && len(s) != 64) || strings.Trim(s, "0123456789abcdef") != "" || strings.Trim(s, "0") == "" {
		return ""
	}
	return s
}
