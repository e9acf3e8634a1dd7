package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/web"
	"github.com/edgewright/edgewright/schema/load"
)

// client speaks to a running daemon, which it finds by the state folder.
type client struct {
	base  string
	token string
}

// address is what the daemon leaves in its state folder for the command line.
type address struct {
	Web string `json:"web"`
	XDS string `json:"xds"`
	PID int    `json:"pid"`
}

const (
	addressFile = "daemon.json"
	tokenFile   = "token"
)

// stateFlag adds --state to a command.
func stateFlag(cmd *cobra.Command, into *string) {
	cmd.Flags().StringVar(into, "state", defaultState(), "state folder of the daemon")
}

func defaultState() string {
	if dir := os.Getenv("EDGEWRIGHT_STATE"); dir != "" {
		return dir
	}
	if dir := os.Getenv("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "edgewright")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ".edgewright"
	}
	return filepath.Join(home, ".local", "state", "edgewright")
}

func newClient(state string) (*client, error) {
	data, err := os.ReadFile(filepath.Join(state, addressFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("no daemon has its state in %s; start one with edgewright serve, or name its folder with --state", state)
	}
	if err != nil {
		return nil, err
	}
	var at address
	if err := json.Unmarshal(data, &at); err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Join(state, addressFile), err)
	}
	token, err := os.ReadFile(filepath.Join(state, tokenFile))
	if err != nil {
		return nil, fmt.Errorf("read the daemon's token: %w", err)
	}
	return &client{base: "http://" + at.Web, token: strings.TrimSpace(string(token))}, nil
}

// statusOf asks the daemon of a state folder how things are.
func statusOf(ctx context.Context, state string) (s web.Status, err error) {
	daemon, err := newClient(state)
	if err != nil {
		return s, err
	}
	err = daemon.call(ctx, http.MethodGet, "/api/v1/status", nil, &s)
	return s, err
}

// call asks the daemon and decodes its answer. A 409 is a refusal by a rule or guard.
func (c *client) call(ctx context.Context, method, path string, body, answer any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return c.send(ctx, method, path, "application/json", data, answer)
}

// plan asks the daemon for the plan of declarations.
func (c *client) plan(ctx context.Context, files []load.File) (p reconciler.Previewed, err error) {
	var body bytes.Buffer
	if err := web.Archive(&body, files); err != nil {
		return p, err
	}
	err = c.send(ctx, http.MethodPost, "/api/v1/plan", "application/x-tar", body.Bytes(), &p)
	return p, err
}

func (c *client) send(ctx context.Context, method, path, form string, body []byte, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Content-Type", form)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask daemon: %w; is it running?", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	switch resp.StatusCode {
	case http.StatusOK:
		return json.Unmarshal(text, answer)
	case http.StatusConflict:
		return &reconciler.Refused{Why: strings.TrimSpace(string(text))}
	}
	return fmt.Errorf("daemon answered %s: %s", resp.Status, strings.TrimSpace(string(text)))
}
