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
	"time"

	"github.com/spf13/cobra"

	"github.com/edgewright/edgewright/reconciler"
)

func applyCommand() *cobra.Command {
	var state string
	var asJSON bool
	var wait time.Duration
	var q reconciler.Apply
	cmd := &cobra.Command{
		Use:   "apply DIGEST|FILE",
		Short: "Agree to the steps that wait for a person, named by their digest or by a plan that was kept",
		Long: "Steps that nobody was shown and that take traffic away wait until somebody agrees to them. The digest names exactly those steps:\n" +
			"if anything moved since it was shown, nothing is applied and the new digest is told. FILE is a plan that edgewright plan --out has kept:\n" +
			"exactly its steps are agreed to, or nothing. It tells how far they are until they are done; the daemon goes on whether or not it is watched.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			daemon, err := newClient(state)
			if err != nil {
				return err
			}
			if err := named(args[0], &q); err != nil {
				return err
			}
			var agreed reconciler.Agreed
			if err := daemon.call(cmd.Context(), http.MethodPost, "/api/v1/apply", q, &agreed); err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), agreed)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "agreed: %s of %s will be applied\n", count(len(agreed.Steps), "step"), agreed.Digest)
			if wait <= 0 {
				return nil
			}
			return daemon.follow(cmd.Context(), cmd.OutOrStdout(), agreed.Steps, wait)
		},
	}
	stateFlag(cmd, &state)
	cmd.Flags().IntVar(&q.ConfirmDeletes, "confirm-deletes", 0, "the exact count of deletions, where a guard asks for it")
	cmd.Flags().DurationVar(&wait, "wait", 10*time.Minute, "how long to tell of the progress; 0 is not at all")
	cmd.Flags().BoolVar(&asJSON, "json", false, "answer with what is agreed to in JSON, and do not wait")
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
