// Package github speaks to GitHub, or to what speaks its REST API: it lists pulls, posts reviews, reads commands in comments and
// takes webhooks.
//
// It words nothing and decides nothing: forge has the words, and the reconciler says what is posted and when.
package github

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/go-github/v60/github"

	"github.com/edgewright/edgewright/reconciler/secret"
)

// Config says where the repository is and as whom to speak. Token or App must be set.
type Config struct {
	APIURL      string // empty: https://api.github.com/
	Owner, Repo string
	Token       secret.Value
	App         App
	Login       string // our own, as comments show it; empty: asked for
	CheckName   string // empty: edgewright
	Log         *slog.Logger
	Transport   http.RoundTripper // empty: http.DefaultTransport
}

// App is a GitHub App's installation.
type App struct {
	ID, Installation int64
	Key              secret.Value // PEM
}

const (
	requestTime = 30 * time.Second
	perPage     = 100
	mostPages   = 30
)

// Client is one repository at a forge. It is safe for concurrent use.
type Client struct {
	Config
	api    *github.Client
	tokens TokenSource
	pace   *pace
	slots  slots

	mu    sync.Mutex // guards login
	login string
}

// New checks the configuration. It makes no request.
func New(cfg Config) (*Client, error) {
	if cfg.Owner == "" || cfg.Repo == "" || strings.ContainsAny(cfg.Owner+cfg.Repo, "/?#% ") {
		return nil, fmt.Errorf("forge repository %q: want owner and name", cfg.Owner+"/"+cfg.Repo)
	}
	if cfg.APIURL == "" {
		cfg.APIURL = "https://api.github.com/"
	}
	base, err := url.Parse(strings.TrimRight(cfg.APIURL, "/") + "/")
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" || base.User != nil {
		return nil, errors.New("forge API: want an http or https URL without credentials")
	}
	if cfg.Transport == nil {
		cfg.Transport = http.DefaultTransport
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.CheckName == "" {
		cfg.CheckName = "edgewright"
	}
	c := &Client{Config: cfg, pace: newPace(), login: cfg.Login}
	if c.tokens, err = newTokens(cfg, base); err != nil {
		return nil, err
	}
	c.api = github.NewClient(&http.Client{
		Transport:     &transport{next: cfg.Transport, tokens: c.tokens, host: base.Host},
		CheckRedirect: sameHost(base.Host),
		Timeout:       requestTime,
	})
	c.api.BaseURL = base
	return c, nil
}

// sameHost lets a renamed repository's redirect through, and nothing that leads away with our token.
func sameHost(host string) func(*http.Request, []*http.Request) error {
	return func(r *http.Request, via []*http.Request) error {
		if r.URL.Host != host || len(via) > 3 {
			return http.ErrUseLastResponse
		}
		return nil
	}
}

// Token is a token that is valid now, for git over HTTP as user x-access-token.
func (c *Client) Token(ctx context.Context) (secret.Value, error) { return c.tokens.Token(ctx) }

// self is our own login, as comments show it.
func (c *Client) self(ctx context.Context) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.login != "" {
		return c.login, nil
	}
	var login string
	err := c.read(ctx, func(ctx context.Context) error {
		var err error
		login, err = c.askLogin(ctx)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("ask the forge who we are: %w", err)
	}
	c.login = login
	return login, nil
}

func (c *Client) askLogin(ctx context.Context) (string, error) {
	if app, is := c.tokens.(*appTokens); is {
		return app.login(ctx)
	}
	user, _, err := c.api.Users.Get(ctx, "")
	if err == nil && user.GetLogin() == "" {
		return "", errors.New("the forge names no user")
	}
	return user.GetLogin(), err
}

// pages walks through a listing, a page at a time, up to a bound.
func pages(list func(github.ListOptions) (*github.Response, error)) error {
	options := github.ListOptions{PerPage: perPage}
	for range mostPages {
		response, err := list(options)
		if err != nil || response.NextPage == 0 {
			return err
		}
		options.Page = response.NextPage
	}
	return fmt.Errorf("more than %d pages", mostPages)
}
