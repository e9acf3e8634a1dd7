package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/schema"
)

func freezeCommand() *cobra.Command {
	var state, until string
	var fleets, teams, services, zones []string
	var q reconciler.Freeze
	cmd := &cobra.Command{
		Use:   "freeze [NAME]",
		Short: "Keep everything, or a part, from being changed for a time; without a name, show what is frozen",
		Long: "While a freeze is on, what a merge asks for is planned and waits; pulls say so. It ends by itself, or by edgewright unfreeze NAME. A\n" +
			"freeze that is known long before is better declared: freezes in platform/.",
		Example: "  edgewright freeze incident --for 2h --reason \"the zone is being moved\" --zone acme.example",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				s, err := statusOf(cmd.Context(), state)
				if err == nil {
					tellFreezes(cmd.OutOrStdout(), s.Freezes)
				}
				return err
			}
			daemon, err := newClient(state)
			if err != nil {
				return err
			}
			if q.Until, err = moment(until, time.Now()); err != nil {
				return err
			}
			q.Name, q.Fleets, q.Teams, q.Services, q.Zones = args[0], typed[schema.FleetID](fleets), typed[schema.TeamID](teams), typed[schema.ServiceID](services), typed[schema.Hostname](zones)
			if err := daemon.call(cmd.Context(), http.MethodPost, "/api/v1/freeze", q, &struct{}{}); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "frozen until %s; to end it: edgewright unfreeze %s\n", q.Until.UTC().Format("2006-01-02 15:04:05Z"), q.Name)
			return err
		},
	}
	stateFlag(cmd, &state)
	cmd.Flags().StringVar(&until, "for", "", "how long (90m, 2h), or until when (2026-12-24, 2026-12-24T18:00:00Z)")
	cmd.Flags().StringVar(&q.Reason, "reason", "", "why, for whoever wonders")
	cmd.Flags().StringSliceVar(&fleets, "fleet", nil, "only this fleet")
	cmd.Flags().StringSliceVar(&teams, "team", nil, "only the services of this team")
	cmd.Flags().StringSliceVar(&services, "service", nil, "only this service")
	cmd.Flags().StringSliceVar(&zones, "zone", nil, "only this zone")
	return cmd
}

func unfreezeCommand() *cobra.Command {
	var state string
	cmd := &cobra.Command{
		Use:   "unfreeze NAME",
		Short: "End a freeze before its time",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			daemon, err := newClient(state)
			if err != nil {
				return err
			}
			if err := daemon.call(cmd.Context(), http.MethodPost, "/api/v1/freeze", reconciler.Freeze{Name: args[0], End: true}, &struct{}{}); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "freeze %s has ended: what waited goes on\n", args[0])
			return err
		},
	}
	stateFlag(cmd, &state)
	return cmd
}

func tellFreezes(out io.Writer, freezes []reconciler.FreezeView) {
	for _, f := range freezes {
		what := "everything"
		if parts := freezeParts(f.Freeze); len(parts) > 0 {
			what = strings.Join(parts, ", ")
		}
		by := "platform/"
		if f.By != "" {
			by = f.By
		}
		fmt.Fprintf(out, "%s: %s, until %s, by %s: %s\n", f.Name, what, f.Ends.UTC().Format("2006-01-02 15:04:05Z"), by, f.Reason)
	}
	if len(freezes) == 0 {
		fmt.Fprintln(out, "nothing is frozen")
	}
}

func freezeParts(f schema.Freeze) []string {
	var parts []string
	for _, id := range f.Fleets {
		parts = append(parts, "fleet "+string(id))
	}
	for _, id := range f.Teams {
		parts = append(parts, "team "+string(id))
	}
	for _, id := range f.Services {
		parts = append(parts, "service "+string(id))
	}
	for _, name := range f.Zones {
		parts = append(parts, "zone "+string(name))
	}
	return parts
}

// moment is a time from now, a day with all of its hours, or a time.
func moment(text string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(d).Truncate(time.Second), nil
	}
	var day schema.Date
	if day.UnmarshalText([]byte(text)) == nil {
		return day.End(), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("--for %q is no time: write how long, as 2h, or until when, as 2026-12-24 or 2026-12-24T18:00:00Z", text)
	}
	return at, nil
}

func typed[T ~string](names []string) []T {
	var out []T
	for _, name := range names {
		out = append(out, T(name))
	}
	return out
}
