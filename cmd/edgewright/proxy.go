package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/edgewright/edgewright/reconciler/xds"
)

const mostDiffering = 50 // resources of a type that are told one by one

// proxyStatus tells what one proxy has.
func proxyStatus(cmd *cobra.Command, state, node string, connected []xds.Node, asJSON bool) error {
	at := slices.IndexFunc(connected, func(n xds.Node) bool { return n.ID == node })
	if at < 0 {
		var names []string
		for _, n := range connected {
			names = append(names, n.ID)
		}
		return fmt.Errorf("no proxy %s is connected; those that are: %s", node, strings.Join(names, ", "))
	}
	daemon, err := newClient(state)
	if err != nil {
		return err
	}
	var got xds.Inspected
	path := fmt.Sprintf("/api/v1/proxies/%s/%s", url.PathEscape(string(connected[at].Fleet)), url.PathEscape(node))
	if err := daemon.call(cmd.Context(), http.MethodGet, path, nil, &got); err != nil {
		return err
	}
	if asJSON {
		return writeJSON(cmd.OutOrStdout(), got)
	}
	return tellProxy(cmd.OutOrStdout(), got)
}

func tellProxy(out io.Writer, of xds.Inspected) error {
	n := of.Node
	fmt.Fprintf(out, "%s of fleet %s: Envoy %s, connected %s ago\n", n.ID, n.Fleet, n.Envoy, time.Since(n.Connected).Round(time.Second))
	if n.Build != "" {
		fmt.Fprintf(out, "build: %s\n", n.Build)
	}
	if n.Refused != "" {
		fmt.Fprintf(out, "refused last: %s\n", n.Refused)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nTYPE\tACKNOWLEDGED\tPUBLISHED\tHAS\tWOULD HAVE\tDIFFER")
	for _, t := range of.Types {
		version := t.Version
		if version == "" {
			version = "under way"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\n", kind(t.URL), version, t.Published, t.Has, t.Wants, len(t.Differ))
	}
	for _, t := range of.Types {
		if len(t.Differ) == 0 {
			continue
		}
		fmt.Fprintf(w, "\n%s\tSTATE\tHAS\tWOULD HAVE\tSERVICE\tWHY\n", strings.ToUpper(kind(t.URL)))
		for _, r := range t.Differ[:min(mostDiffering, len(t.Differ))] {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", r.Name, r.State, orNothing(r.Has), orNothing(r.Wants), r.Of, r.Why)
		}
		if more := len(t.Differ) - mostDiffering; more > 0 {
			fmt.Fprintf(w, "and %d more: --json lists them all\n", more)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if n.Behind > 0 {
		_, err := fmt.Fprintf(out, "behind: it lacks %s, the oldest for %s\n", count(n.Behind, "service"), n.Lag.Round(time.Millisecond))
		return err
	}
	_, err := fmt.Fprintln(out, "it has everything that is published")
	return err
}

func orNothing(version string) string {
	if version == "" {
		return "nothing"
	}
	return version
}

// kind is the name of a type of resource, without the package that it is from.
func kind(url string) string { return url[strings.LastIndexByte(url, '.')+1:] }
