package web

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"sync"
	"time"

	"github.com/edgewright/edgewright/reconciler/secret"
)

const (
	cookieName  = "edgewright"
	sessionLife = 12 * time.Hour
	maxSessions = 64
)

// session is a browser that has shown the token.
type session struct {
	csrf  string
	until time.Time
}

// sessions are kept in memory: a restart logs everybody out.
type sessions struct {
	now func() time.Time

	mu sync.Mutex
	by map[string]session
}

func newSessions(now func() time.Time) *sessions {
	return &sessions{now: now, by: map[string]session{}}
}

// begin logs a browser in.
func (s *sessions) begin(w http.ResponseWriter, encrypted bool) {
	id, one := random(), session{csrf: random(), until: s.now().Add(sessionLife)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.makeRoom()
	s.by[id] = one
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: id, Path: "/", MaxAge: int(sessionLife.Seconds()), Secure: encrypted, HttpOnly: true, SameSite: http.SameSiteStrictMode})
}

// makeRoom drops what has run out, and the oldest when there are too many.
func (s *sessions) makeRoom() {
	oldest := ""
	for id, one := range s.by {
		if !s.now().Before(one.until) {
			delete(s.by, id)
			continue
		}
		if oldest == "" || one.until.Before(s.by[oldest].until) {
			oldest = id
		}
	}
	if len(s.by) >= maxSessions {
		delete(s.by, oldest)
	}
}

// of is the session of a request.
func (s *sessions) of(r *http.Request) (session, bool) {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return session{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.by[cookie.Value]
	return one, ok && s.now().Before(one.until)
}

// guards tells whether a form came from a page of this session.
func (one session) guards(shown string) bool {
	return secret.New(one.csrf).Is(shown)
}

func random() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
