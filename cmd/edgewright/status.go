package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/edgewright/edgewright/reconciler/web"
	"github.com/edgewright/edgewright/schema"
)

func statusCommand() *cobra.Command {
	var state, proxy string
	var asJSON, detailed bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what the daemon serves, what is under way and what waits for whom",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := statusOf(cmd.Context(), state)
			if err != nil {
				return err
			}
			if proxy != "" {
				return proxyStatus(cmd, state, proxy, s.Proxies, asJSON)
			}
			if asJSON {
				err = writeJSON(cmd.OutOrStdout(), s)
			} else {
				err = tellStatus(cmd.OutOrStdout(), s)
			}
			if err == nil && detailed && s.Verdict() != "converged" {
				return exitCode(exitChanges)
			}
			return err
		},
	}
	stateFlag(cmd, &state)
	cmd.Flags().StringVar(&proxy, "proxy", "", "show what this proxy has, by type, beside what it would have")
	cmd.Flags().BoolVar(&asJSON, "json", false, "answer in JSON")
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit with 2 when something is not as declared")
	return cmd
}

// tellStatus writes tables, what needs a person last.
func tellStatus(out io.Writer, s web.Status) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SERVICE\tTEAM\tFLEET\tSTATE\tHOSTS\tWHY")
	for _, v := range s.Services {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", v.ID, v.Team, v.Fleet, v.State, hosts(v.Hosts), v.Why)
	}
	fmt.Fprintln(w, "\nPROXY\tFLEET\tENVOY\tACKNOWLEDGED\tREFUSED\tLAG")
	for _, n := range s.Proxies {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", n.ID, n.Fleet, n.Envoy, n.Acknowledged, n.Refused, n.Lag)
	}
	if len(s.Turned) > 0 {
		fmt.Fprintln(w, "\nTURNED AWAY\tFLEET\tADDRESS\tLAST\tTIMES\tWHY")
	}
	for _, n := range s.Turned {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\n", cmp.Or(n.Node, "unnamed"), n.Fleet, n.Address, n.Last.UTC().Format(time.RFC3339), n.Times, n.Why)
	}
	fmt.Fprintln(w, "\nSCOPE\tHOLDS\tOURS\tERROR")
	for _, z := range s.Zones {
		fmt.Fprintf(w, "%s\t%d of %d\t%d\t%s\n", z.Scope, z.Records, z.Most, z.Ours, z.Error)
	}
	if len(s.Steps) > 0 {
		fmt.Fprintln(w, "\nSTEP\tSTATE\tWHY")
	}
	for _, step := range s.Steps {
		fmt.Fprintf(w, "%s %s\t%s\t%s\n", step.Verb, step.Key, step.State, step.Why)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, p := range s.Problems {
		fmt.Fprintln(out, "problem:", p)
	}
	for _, p := range s.Warnings {
		fmt.Fprintln(out, "warning:", p)
	}
	for _, fault := range []string{s.Source, s.Forge} {
		if fault != "" {
			fmt.Fprintln(out, "unreachable:", fault)
		}
	}
	if s.Unvalidated != "" {
		fmt.Fprintln(out, "not validated by Envoy:", s.Unvalidated)
	}
	if s.Pending != "" {
		line := "edgewright apply " + s.Pending
		if s.Deletes > 0 {
			line += fmt.Sprintf(" --confirm-deletes %d", s.Deletes)
		}
		fmt.Fprintf(out, "waits for a person; to agree: %s\n", line)
	}
	_, err := fmt.Fprintf(out, "%s: %s, %s pending, at commit %s %s\n", s.Verdict(), count(len(s.Services), "service"),
		count(len(s.Steps), "step"), s.Commit[:min(10, len(s.Commit))], strings.TrimSpace(s.Subject))
	return err
}

// hosts are the first few names, so that a line stays a line.
func hosts(names []schema.Hostname) string {
	var out []string
	for i, name := range names {
		if i == 3 {
			out = append(out, fmt.Sprintf("%d more", len(names)-i))
			break
		}
		out = append(out, string(name))
	}
	return strings.Join(out, ", ")
}
