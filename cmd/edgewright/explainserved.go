package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/edgewright/edgewright/reconciler/web"
	"github.com/edgewright/edgewright/render"
)

// explainServed asks the daemon what proxies do with a request.
func explainServed(cmd *cobra.Command, state string, r render.Request, headers []string, asJSON bool) error {
	daemon, err := newClient(state)
	if err != nil {
		return err
	}
	q := url.Values{"host": {r.Host}, "path": {r.Path}, "method": {r.Method}, "exposure": {string(r.Exposure)}, "header": headers}
	var all []web.Explained
	if err := daemon.call(cmd.Context(), http.MethodGet, "/api/v1/explain?"+q.Encode(), nil, &all); err != nil {
		return err
	}
	if asJSON {
		return writeJSON(cmd.OutOrStdout(), all)
	}
	if len(all) == 0 {
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "nobody answers: no fleet listens for %s requests\n", r.Exposure)
		return err
	}
	for _, x := range all {
		tellServed(cmd.OutOrStdout(), r, x)
	}
	return nil
}

func tellServed(w io.Writer, r render.Request, x web.Explained) {
	tellExplanation(w, r, x.Fleet, x.Explanation)
	if x.Service == "" {
		return
	}
	for _, t := range x.Backends {
		fmt.Fprintf(w, "  %d%% to backend %s, cluster %s: %s\n", t.Weight, t.Backend, t.Cluster, strings.Join(t.Endpoints, ", "))
	}
	fmt.Fprintf(w, "  served by commit %s since %s, version %s\n", x.Commit[:min(10, len(x.Commit))], x.Since.UTC().Format("2006-01-02 15:04:05 MST"), x.Version)
	if x.Lingers {
		fmt.Fprintln(w, "  the name is not declared any more: it is answered until nobody may have it cached")
	}
	if x.Refused != "" {
		fmt.Fprintf(w, "  refused, so that the version before is served there: %s\n", x.Refused)
	}
	var have, lack []string
	for _, p := range x.Proxies {
		if p.Has {
			have = append(have, p.Node)
		} else {
			lack = append(lack, p.Node)
		}
	}
	if len(have) > 0 {
		fmt.Fprintf(w, "  on: %s\n", strings.Join(have, ", "))
	}
	if len(lack) > 0 {
		fmt.Fprintf(w, "  not yet on: %s\n", strings.Join(lack, ", "))
	}
	if len(x.Proxies) == 0 {
		fmt.Fprintf(w, "  no proxy of fleet %s is connected\n", x.Fleet)
	}
}
