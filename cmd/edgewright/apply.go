package main

import (
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/edgewright/edgewright/reconciler"
)

func applyCommand() *cobra.Command {
	var state string
	var asJSON bool
	var q reconciler.Apply
	cmd := &cobra.Command{
		Use:   "apply DIGEST",
		Short: "Agree to the steps that wait for a person, named by their digest",
		Long: "Steps that nobody was shown and that take traffic away wait until somebody agrees to them. The digest names exactly those steps:\n" +
			"if anything moved since it was shown, nothing is applied and the new digest is told.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			daemon, err := newClient(state)
			if err != nil {
				return err
			}
			q.Digest = args[0]
			var answer struct {
				Steps int `json:"steps"`
			}
			if err := daemon.call(cmd.Context(), http.MethodPost, "/api/v1/apply", q, &answer); err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), answer)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "agreed: %s of %s will be applied; see edgewright status\n", count(answer.Steps, "step"), q.Digest)
			return err
		},
	}
	stateFlag(cmd, &state)
	cmd.Flags().IntVar(&q.ConfirmDeletes, "confirm-deletes", 0, "the exact count of deletions, where a guard asks for it")
	cmd.Flags().BoolVar(&asJSON, "json", false, "answer in JSON")
	return cmd
}
