package main

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/reconciler/web"
)

func driftCommand() *cobra.Command {
	var state string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "drift",
		Short: "Show what others changed, and what is declared but was made by others",
		Long: "What becomes of a change that somebody else made is said by the field drift of the service or of the platform's defaults: it is put\n" +
			"back (heal), or shown until somebody decides (report), or the whole service is left alone (pause).",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := statusOf(cmd.Context(), state)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), map[string]any{"drifts": s.Drifts, "foreign": s.Foreign})
			}
			tellDrift(cmd.OutOrStdout(), s)
			return nil
		},
	}
	stateFlag(cmd, &state)
	cmd.Flags().BoolVar(&asJSON, "json", false, "answer in JSON")
	cmd.AddCommand(
		settleCommand(reconciler.ChoosePutBack, "put-back NAME...", "Undo what somebody else changed, where it is only reported"),
		settleCommand(reconciler.ChooseKeep, "keep NAME...", "Leave what somebody else changed as it is, until it or the declaration changes"),
	)
	return cmd
}

func tellDrift(out io.Writer, s web.Status) {
	for _, d := range s.Drifts {
		name := fmt.Sprintf("%s (%s)", d.Key.Name, d.Key.Scope)
		found := d.Found.UTC().Format("2006-01-02 15:04:05Z")
		switch {
		case !d.Healed.IsZero():
			fmt.Fprintf(out, "%s: found changed %s, put back %s\n", name, found, d.Healed.UTC().Format("15:04:05Z"))
			continue
		case d.Kept != "":
			fmt.Fprintf(out, "%s: found changed %s, left as it is by word of %s\n", name, found, d.Kept)
		default:
			fmt.Fprintf(out, "%s: found changed %s, %s\n", name, found, d.State)
		}
		tellFields(out, d.Fields)
		if d.Kept == "" && d.State == reconciler.Approval {
			fmt.Fprintf(out, "    to undo it: edgewright drift put-back %q; to leave it: edgewright drift keep %q\n", d.Key.Name, d.Key.Name)
		}
	}
	for _, f := range s.Foreign {
		fmt.Fprintf(out, "%s (%s): declared, and made by somebody else\n", f.Key.Name, f.Key.Scope)
		tellFields(out, f.Fields)
		if f.Asked == "" {
			fmt.Fprintf(out, "    to take it over: edgewright adopt %q\n", f.Key.Name)
		} else {
			fmt.Fprintf(out, "    %s has asked to adopt it; to agree: edgewright apply %s\n", f.Asked, s.Pending)
		}
	}
	if len(s.Drifts)+len(s.Foreign) == 0 {
		fmt.Fprintln(out, "nothing was changed by others, and nothing of theirs is in the way")
	}
}

func tellFields(out io.Writer, fields []plan.FieldChange) {
	for _, f := range fields {
		fmt.Fprintln(out, "    "+f.String())
	}
}

func adoptCommand() *cobra.Command {
	cmd := settleCommand(reconciler.ChooseAdopt, "adopt [NAME...]", "Plan to take over records that exist already; nothing is done before you agree to the plan")
	cmd.Long = "NAME is a host name, or a type and a name as \"A www.acme.example\"; with --zone and no name it is every declared record of a zone. Records\n" +
		"that are as declared become ours as they are, the others are changed: the plan shows each. To agree to it: edgewright apply DIGEST."
	cmd.Example = "  edgewright adopt www.acme.example\n  edgewright adopt --zone acme.example"
	return cmd
}

func forgetCommand() *cobra.Command {
	cmd := settleCommand(reconciler.ChooseForget, "forget [NAME...]", "Let go of records: they stay as they are, and are nobody's to edgewright")
	cmd.Long = "A record that was let go is never changed or deleted, also not when its service goes: whoever takes it sees to where it leads."
	return cmd
}

// settleCommand asks for a choice about records.
func settleCommand(choice reconciler.Choice, use, short string) *cobra.Command {
	var state string
	var asJSON bool
	q := reconciler.Settle{Choice: choice}
	cmd := &cobra.Command{
		Use: use, Short: short,
		RunE: func(cmd *cobra.Command, args []string) error {
			if q.Names = args; len(args) == 0 && q.Zone == "" {
				return fmt.Errorf("name records, or all of a zone with --zone")
			}
			got, err := settle(cmd.Context(), state, q)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), got)
			}
			return tellSettled(cmd.OutOrStdout(), choice, got)
		},
	}
	stateFlag(cmd, &state)
	cmd.Flags().StringVar(&q.Zone, "zone", "", "only in this zone; with no name, all that there is in it")
	cmd.Flags().BoolVar(&asJSON, "json", false, "answer in JSON")
	return cmd
}

func settle(ctx context.Context, state string, q reconciler.Settle) (got reconciler.Settled, err error) {
	daemon, err := newClient(state)
	if err != nil {
		return got, err
	}
	err = daemon.call(ctx, http.MethodPost, "/api/v1/settle", q, &got)
	return got, err
}

func tellSettled(out io.Writer, choice reconciler.Choice, got reconciler.Settled) error {
	for _, s := range got.Steps {
		fmt.Fprintf(out, "%s %s (%s)\n", s.Verb, s.Key.Name, s.Key.Scope)
		tellFields(out, s.Fields())
	}
	what := map[reconciler.Choice]string{
		reconciler.ChooseAdopt: "to adopt", reconciler.ChooseKeep: "left as found", reconciler.ChoosePutBack: "will be put back", reconciler.ChooseForget: "let go",
	}[choice]
	_, err := fmt.Fprintf(out, "%s %s\n", count(len(got.Keys), "record"), what)
	if err == nil && choice == reconciler.ChooseAdopt && got.Pending != "" {
		_, err = fmt.Fprintf(out, "nothing was done yet; to agree to this and whatever else waits: edgewright apply %s\n", got.Pending)
	}
	return err
}
