package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/edgewright/edgewright/fixtures/demo"
	"github.com/edgewright/edgewright/fixtures/story"
)

func demoCommand() *cobra.Command {
	var dir, tools string
	var check bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run everything on this machine: a forge, an AWS emulator, two Envoys and the daemon",
		Long: "The demo listens on loopback only and keeps everything in one folder. Its tools, Envoy and the emulator, are installed by\n" +
			"make tools. With --check it plays the main job unattended and ends with 0 or 1.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			self, err := os.Executable()
			if err != nil {
				return err
			}
			if dir == "" {
				if dir, err = os.MkdirTemp("", "edgewright-demo-"); err != nil {
					return err
				}
				defer os.RemoveAll(dir)
			}
			c := demo.Config{Dir: dir, Tools: tools, Command: []string{self}, Out: cmd.OutOrStdout()}
			if check {
				return checkDemo(cmd.Context(), c)
			}
			return runDemo(cmd.Context(), c)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "folder for all state, kept afterwards (default: a temporary one)")
	cmd.Flags().StringVar(&tools, "tools", defaultTools(), "folder where make tools has put Envoy and the emulator")
	cmd.Flags().BoolVar(&check, "check", false, "play the story unattended, a line a step")
	return cmd
}

func defaultTools() string {
	if dir := os.Getenv("EDGEWRIGHT_TOOLS"); dir != "" {
		return dir
	}
	return filepath.Join(".tools")
}

// runDemo serves until Ctrl-C.
func runDemo(ctx context.Context, c demo.Config) error {
	fmt.Fprintln(c.Out, "starting, on 127.0.0.1 only:")
	d, err := demo.Start(ctx, c)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.Out, `
Try it:
  git clone %[1]s && cd edge-config
  git switch -c my-change        # edit a file in services/, commit
  git push origin my-change      # a pull opens: look at %[2]s
  curl -H 'Host: status.acme.example' %[3]s/ping
  export EDGEWRIGHT_STATE=%[4]s     # then: edgewright status, plan, apply

Ctrl-C ends everything.
`, d.Forge.CloneURL(), d.Forge.URL(), d.Public[0], d.Daemon.State)
	<-ctx.Done()
	fmt.Fprintln(c.Out, "stopping")
	return d.Stop()
}

// checkDemo plays the story.
func checkDemo(ctx context.Context, c demo.Config) error {
	out := c.Out
	c.Out = io.Discard
	began := time.Now()
	d, err := demo.Start(ctx, c)
	if err != nil {
		return err
	}
	err = (&story.Story{Demo: d, Out: out}).Tell(ctx)
	if err = errors.Join(err, d.Stop()); err == nil {
		fmt.Fprintf(out, "the story holds: %.0f s\n", time.Since(began).Seconds())
	}
	return err
}
