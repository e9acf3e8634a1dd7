package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/edgewright/edgewright/reconciler/audit"
	"github.com/edgewright/edgewright/reconciler/plan"
)

func historyCommand() *cobra.Command {
	var state string
	var asJSON bool
	var limit int
	cmd := &cobra.Command{
		Use:   "history NAME",
		Short: "Tell what was done to a host name or service, when, by whom, and why",
		Long: "NAME is a host name, a service, or whatever else stands in the audit as a word. The newest entries are told, oldest first: with\n" +
			"what changed, who agreed to it (edgewright itself where nobody had to), the commit, and what came of it.",
		Example: "  edgewright history jira.acme.example",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			daemon, err := newClient(state)
			if err != nil {
				return err
			}
			var entries []audit.Entry
			path := fmt.Sprintf("/api/v1/history?name=%s&limit=%d", url.QueryEscape(args[0]), limit)
			if err := daemon.call(cmd.Context(), http.MethodGet, path, nil, &entries); err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), entries)
			}
			if len(entries) == 0 {
				return fmt.Errorf("the audit says nothing of %s", args[0])
			}
			for _, e := range entries {
				fmt.Fprintln(cmd.OutOrStdout(), told(e))
			}
			return nil
		},
	}
	stateFlag(cmd, &state)
	cmd.Flags().BoolVar(&asJSON, "json", false, "answer in JSON")
	cmd.Flags().IntVar(&limit, "limit", 50, "the most entries to tell, at most 1000")
	return cmd
}

// told is an entry of the audit in words: a line, and one for each field that changed.
func told(e audit.Entry) string {
	lines := []string{fmt.Sprintf("%s  %s  by %s, %s: %s", e.At.Format("2006-01-02 15:04:05Z"), e.What, e.Who, e.Why, e.Result)}
	for _, c := range plan.Fields(e.Before, e.After) {
		if e.Before != nil && e.After != nil {
			lines = append(lines, "    "+c.String())
		}
	}
	return strings.Join(lines, "\n")
}

func auditCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "audit", Short: "What was done is recorded; see also history", Args: cobra.NoArgs}
	var state string
	verify := &cobra.Command{
		Use:   "verify",
		Short: "Check that no entry of the audit was changed, taken out or cut off",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			daemon, err := newClient(state)
			if err != nil {
				return err
			}
			var answer struct{}
			if err := daemon.call(cmd.Context(), http.MethodGet, "/api/v1/audit/verify", nil, &answer); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "the audit is whole")
			return err
		},
	}
	stateFlag(verify, &state)
	cmd.AddCommand(verify)
	return cmd
}
