package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/edgewright/edgewright/reconciler"
)

func applyCommand() *cobra.Command {
	var state string
	var asJSON bool
	var q reconciler.Apply
	cmd := &cobra.Command{
		Use:   "apply DIGEST|FILE",
		Short: "Agree to the steps that wait for a person, named by their digest or by a plan that was kept",
		Long: "Steps that nobody was shown and that take traffic away wait until somebody agrees to them. The digest names exactly those steps:\n" +
			"if anything moved since it was shown, nothing is applied and the new digest is told. FILE is a plan that edgewright plan --out has kept:\n" +
			"exactly its steps are agreed to, or nothing.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			daemon, err := newClient(state)
			if err != nil {
				return err
			}
			if err := named(args[0], &q); err != nil {
				return err
			}
			var answer struct {
				Steps int `json:"steps"`
			}
			if err := daemon.call(cmd.Context(), http.MethodPost, "/api/v1/apply", q, &answer); err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), answer)
			}
			digest := q.Digest
			if q.Plan != nil {
				digest = q.Plan.Digest
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "agreed: %s of %s will be applied; see edgewright status\n", count(answer.Steps, "step"), digest)
			return err
		},
	}
	stateFlag(cmd, &state)
	cmd.Flags().IntVar(&q.ConfirmDeletes, "confirm-deletes", 0, "the exact count of deletions, where a guard asks for it")
	cmd.Flags().BoolVar(&asJSON, "json", false, "answer in JSON")
	return cmd
}

// named reads what to apply: a digest, or the plan in a file.
func named(what string, q *reconciler.Apply) error {
	data, err := os.ReadFile(what)
	if errors.Is(err, fs.ErrNotExist) && !strings.ContainsAny(what, "./\\") {
		q.Digest = what
		return nil
	}
	if err != nil {
		return fmt.Errorf("read plan: %w", err)
	}
	q.Plan = &reconciler.KeptPlan{}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	err = decoder.Decode(q.Plan)
	if err == nil && decoder.More() {
		err = errors.New("something follows the plan")
	}
	if err != nil {
		return fmt.Errorf("%s is no plan that edgewright plan --out has kept: %w", what, err)
	}
	return nil
}
