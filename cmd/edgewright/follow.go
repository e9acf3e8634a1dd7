package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/forge"
	"github.com/edgewright/edgewright/reconciler/plan"
)

// followEvery is how often the daemon is asked how far steps are, at most.
const followEvery = 300 * time.Millisecond

// teller shows how far steps are: by bars on a terminal, by one line per step elsewhere.
type teller interface {
	tell(s plan.Step, now reconciler.Progress) // that something has changed
	end()
}

// follower is what is known of steps that somebody has agreed to.
type follower struct {
	daemon  *client
	show    teller
	steps   []plan.Step
	open    []plan.Step // that are neither done nor dropped
	dropped int
	last    map[string]reconciler.Progress // by the id of the step
}

// follow tells how far steps are until none is left to do, all that is left needs a person again, or the time is up.
func (c *client) follow(ctx context.Context, out io.Writer, steps []plan.Step, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	f := &follower{daemon: c, show: newTeller(out, steps), steps: steps, open: steps, last: map[string]reconciler.Progress{}}
	idle, err := 0, error(nil)
	for len(f.open) > 0 && idle < 5 && ctx.Err() == nil {
		began := time.Now()
		err = f.ask(ctx)
		var refused *reconciler.Refused
		if errors.As(err, &refused) { // another daemon leads now
			break
		}
		idle++
		if slices.ContainsFunc(f.open, func(s plan.Step) bool { return f.last[s.ID()].Status != forge.StepApproval }) {
			idle = 0
		}
		if len(f.open) == 0 {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(max(followEvery, 5*time.Since(began))):
		}
	}
	f.show.end()
	if ctx.Err() != nil {
		err = nil
	}
	return f.verdict(out, idle > 0, err)
}

// ask asks how far the open steps are, and tells what has changed. An error may pass: what the daemon has agreed to stands when it starts
// again.
func (f *follower) ask(ctx context.Context) error {
	var now []reconciler.Progress
	if err := f.daemon.call(ctx, http.MethodPost, "/api/v1/progress", reconciler.ProgressQuery{Steps: f.open}, &now); err != nil {
		return err
	}
	if len(now) != len(f.open) {
		return fmt.Errorf("the daemon tells of %d steps, was asked for %d", len(now), len(f.open))
	}
	var left []plan.Step
	for i, s := range f.open {
		if f.last[s.ID()] != now[i] {
			f.last[s.ID()] = now[i]
			f.show.tell(s, now[i])
		}
		switch now[i].Status {
		case forge.StepDone:
		case forge.StepDropped:
			f.dropped++
		default:
			left = append(left, s)
		}
	}
	f.open = left
	return nil
}

// verdict says what is left and why, and last how it stands.
func (f *follower) verdict(out io.Writer, stuck bool, err error) error {
	const most = 10
	for i, s := range f.open {
		if i == most {
			fmt.Fprintf(out, "… and %d more\n", len(f.open)-i)
			break
		}
		fmt.Fprintln(out, stepLine(s, f.last[s.ID()]))
	}
	verdict, code := "done", error(nil)
	switch {
	case len(f.open) == 0:
	case stuck:
		verdict, code = "stopped, the rest needs somebody to agree once more: edgewright status", exitCode(exitRefused)
	case err != nil:
		verdict, code = fmt.Sprintf("not known further (%v), the daemon goes on by itself: edgewright status", err), exitCode(exitError)
	default:
		verdict, code = "not done yet, the daemon goes on by itself: edgewright status", exitCode(exitError)
	}
	counts := fmt.Sprintf("%d of %s done", len(f.steps)-len(f.open)-f.dropped, count(len(f.steps), "step"))
	if f.dropped > 0 {
		counts += fmt.Sprintf(", %d dropped", f.dropped)
	}
	if _, err := fmt.Fprintf(out, "%s: %s\n", verdict, counts); err != nil {
		return err
	}
	return code
}

// stepLine says in a line how far a step is.
func stepLine(s plan.Step, now reconciler.Progress) string {
	line := cmp.Or(string(now.Status), "not begun") + ": " + forge.Title(s)
	if now.Why != "" {
		line += ", " + now.Why
	}
	return line
}

func newTeller(out io.Writer, steps []plan.Step) teller {
	f, isFile := out.(*os.File)
	if !isFile || os.Getenv("TERM") == "dumb" || !isatty.IsTerminal(f.Fd()) {
		return lines{out}
	}
	b := &bars{all: mpb.New(mpb.WithOutput(out), mpb.WithWidth(40), mpb.WithRefreshRate(100*time.Millisecond)), of: map[string]*mpb.Bar{}}
	for _, s := range steps {
		b.steps = append(b.steps, group(s))
	}
	slices.Sort(b.steps)
	widest := 0
	for _, name := range b.steps {
		widest = max(widest, len(name))
	}
	for _, name := range slices.Compact(slices.Clone(b.steps)) {
		n := int64(0)
		for _, of := range b.steps {
			if of == name {
				n++
			}
		}
		b.of[name] = b.all.New(n, mpb.BarStyle().Lbound("[").Filler("=").Tip(">").Padding(" ").Rbound("]"),
			mpb.PrependDecorators(decor.Name(fmt.Sprintf("%-*s", widest, name))), mpb.AppendDecorators(decor.CountersNoUnit("%d of %d")))
	}
	return b
}

// group is what a step's bar counts.
func group(s plan.Step) string { return forge.Noun(s.Key.Kind) + "s in " + string(s.Key.Scope) }

// lines tells of a step when it is done, or dropped, or fails.
type lines struct{ out io.Writer }

func (l lines) tell(s plan.Step, now reconciler.Progress) {
	switch now.Status {
	case forge.StepDone, forge.StepDropped, forge.StepFailed:
		fmt.Fprintln(l.out, stepLine(s, now))
	}
}

func (l lines) end() {}

// bars is a bar for the steps of a kind in a scope; what fails is told above them.
type bars struct {
	all   *mpb.Progress
	of    map[string]*mpb.Bar
	steps []string // the group of each
}

func (b *bars) tell(s plan.Step, now reconciler.Progress) {
	switch now.Status {
	case forge.StepDone:
		b.of[group(s)].Increment()
	case forge.StepDropped:
		b.of[group(s)].Increment()
		fallthrough
	case forge.StepFailed:
		_, _ = fmt.Fprintln(b.all, stepLine(s, now))
	}
}

func (b *bars) end() {
	for _, bar := range b.of {
		if !bar.Completed() {
			bar.Abort(false)
		}
	}
	b.all.Wait()
}
