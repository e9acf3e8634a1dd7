package github

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/google/go-github/v60/github"

	"github.com/edgewright/edgewright/reconciler/secret"
)

// TokenSource gives tokens that are valid now.
type TokenSource interface {
	Token(context.Context) (secret.Value, error)
}

// newTokens is the source that the configuration asks for.
func newTokens(cfg Config, base *url.URL) (TokenSource, error) {
	switch {
	case cfg.App.ID != 0 && !cfg.Token.Empty():
		return nil, errors.New("forge: a token and an App exclude each other")
	case cfg.App.ID != 0:
		return newAppTokens(cfg, base)
	case cfg.Token.Empty():
		return nil, errors.New("forge: neither a token nor an App")
	}
	return static{cfg.Token}, nil
}

type static struct{ token secret.Value }

func (s static) Token(context.Context) (secret.Value, error) { return s.token, nil }

// appTokens mints installation tokens of a GitHub App and keeps one until it ends or is refused.
type appTokens struct {
	base string
	apps *ghinstallation.AppsTransport
	id   int64

	mu      sync.Mutex
	current *ghinstallation.Transport
	token   string
	since   time.Time
}

func newAppTokens(cfg Config, base *url.URL) (*appTokens, error) {
	apps, err := ghinstallation.NewAppsTransport(bounded{cfg.Transport}, cfg.App.ID, []byte(cfg.App.Key.Reveal()))
	if err != nil {
		return nil, errors.New("forge App: its private key cannot be read; want PEM") // the error may quote the key
	}
	s := &appTokens{base: strings.TrimRight(base.String(), "/"), apps: apps, id: cfg.App.Installation}
	apps.BaseURL = s.base
	return s, nil
}

func (s *appTokens) Token(ctx context.Context) (secret.Value, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil {
		s.current = ghinstallation.NewFromAppsTransport(s.apps, s.id)
		s.current.BaseURL = s.base
	}
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	token, err := s.current.Token(ctx)
	if err != nil {
		return secret.Value{}, mintError(err)
	}
	if token != s.token {
		s.token, s.since = token, time.Now()
	}
	return secret.New(token), nil
}

// mintError keeps what a forge said when it refused a token.
func mintError(err error) error {
	var refused *ghinstallation.HTTPError
	if errors.As(err, &refused) && refused.Response != nil {
		_ = refused.Response.Body.Close()
		return fmt.Errorf("mint installation token: the forge answered %s", refused.Response.Status)
	}
	return fmt.Errorf("mint installation token: %w", err)
}

// refused says that a token was not taken. A new one may take seconds until it is; an old one is given up.
func (s *appTokens) refused(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if token == s.token && time.Since(s.since) > newFor {
		s.current = nil
	}
}

// isNew tells whether a token is so new that a refusal says nothing yet.
func (s *appTokens) isNew(token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return token == s.token && time.Since(s.since) <= newFor
}

// login is the App's name as comments show it.
func (s *appTokens) login(ctx context.Context) (string, error) {
	api := github.NewClient(&http.Client{Transport: s.apps, Timeout: requestTime})
	base, err := url.Parse(s.base + "/")
	if err != nil {
		return "", err
	}
	api.BaseURL = base
	app, _, err := api.Apps.Get(ctx, "")
	if err == nil && app.GetSlug() == "" {
		return "", errors.New("the forge names no App")
	}
	return app.GetSlug() + "[bot]", err
}

const (
	newFor     = time.Minute
	mostAnswer = 16 << 20
)

// transport adds the token, asks again where a new one is not known everywhere yet, and bounds answers.
type transport struct {
	next   http.RoundTripper
	tokens TokenSource
	host   string
	cached cache
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != t.host {
		return nil, fmt.Errorf("request to %s: not the forge", r.URL.Host)
	}
	if r.Body != nil {
		defer r.Body.Close() // each attempt sends a copy
	}
	wait := 250 * time.Millisecond
	for {
		token, err := t.tokens.Token(r.Context())
		if err != nil {
			return nil, err
		}
		answer, err := t.send(r, token)
		if err != nil || !t.tryAgain(answer, token) || wait > 4*time.Second {
			return answer, err
		}
		_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 4096))
		_ = answer.Body.Close()
		select {
		case <-r.Context().Done():
			return nil, r.Context().Err()
		case <-time.After(wait):
		}
		wait *= 2
	}
}

// send makes one attempt, with a body of its own.
func (t *transport) send(r *http.Request, token secret.Value) (*http.Response, error) {
	one := r.Clone(r.Context())
	if r.Body != nil {
		if r.GetBody == nil {
			return nil, errors.New("request body cannot be sent again")
		}
		body, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		one.Body = body
	}
	one.Header.Set("Authorization", "Bearer "+token.Reveal())
	answer, err := t.cached.roundTrip(bounded{t.next}, one)
	if err == nil {
		hideReset(answer)
	}
	return answer, err
}

// hideReset takes the end of the primary limit out of an answer that is about another limit: go-github would wait for it, up to an
// hour, where GitHub asks for a minute.
func hideReset(answer *http.Response) {
	refused := answer.StatusCode == http.StatusForbidden || answer.StatusCode == http.StatusTooManyRequests
	if refused && answer.Header.Get("Retry-After") == "" && answer.Header.Get("X-RateLimit-Remaining") != "0" {
		answer.Header.Del("X-RateLimit-Reset")
	}
}

// tryAgain tells whether an answer may only mean that the token is too new, or that another is needed.
func (t *transport) tryAgain(answer *http.Response, token secret.Value) bool {
	app, is := t.tokens.(*appTokens)
	if !is {
		return false
	}
	if answer.StatusCode == http.StatusUnauthorized {
		app.refused(token.Reveal())
		return true
	}
	limited := answer.Header.Get("Retry-After") != "" || answer.Header.Get("X-RateLimit-Remaining") == "0"
	return answer.StatusCode == http.StatusForbidden && answer.Request.Method == http.MethodGet && !limited && app.isNew(token.Reveal())
}

// bounded cuts answers off that are too long to be one.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	answer.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(answer.Body, mostAnswer), answer.Body}
	return answer, nil
}
