package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/election"
	"github.com/edgewright/edgewright/reconciler/forge"
	"github.com/edgewright/edgewright/reconciler/source"
)

// lead waits until this process leads, and then reconciles and serves proxies until the context ends or another takes over.
func (d *daemon) lead(ctx context.Context) (err error) {
	if err := d.campaign(ctx); err != nil {
		return err
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		err = errors.Join(err, d.election.GiveBack(end))
	}()
	processesOf(d.settings).forget()
	if d.mirror, err = source.Open(ctx, d.source); err != nil {
		return err
	}
	var lc net.ListenConfig
	if d.xdsListener, err = lc.Listen(ctx, "tcp", d.settings.XDS); err != nil {
		return fmt.Errorf("listen for proxies: %w; choose another address with --xds", err)
	}
	if err := d.announce(); err != nil {
		return err
	}
	defer d.withdraw()
	d.log.Info("leading", "process", d.election.Self, "epoch", d.election.Standing().Epoch, "xds", d.xdsListener.Addr().String())
	return d.work(ctx)
}

// campaign waits until this process leads.
func (d *daemon) campaign(ctx context.Context) error {
	if err := d.election.Tick(ctx); err != nil {
		return err
	}
	if s := d.election.Standing(); !s.Leads {
		d.log.Info("another process leads; this one takes over when it ends", "leader", s.Holder)
	}
	return d.election.Campaign(ctx, func(err error) { d.log.Error("lease", "error", err) })
}

// work is what only the leader does. The lease is renewed until the last call under way is in the journal.
func (d *daemon) work(ctx context.Context) error {
	group, term := errgroup.WithContext(ctx)
	renewing, done := context.WithCancel(context.WithoutCancel(ctx))
	group.Go(func() error {
		err := d.election.Keep(renewing, func(err error) { d.log.Error("lease", "error", err) })
		if errors.Is(err, election.ErrReplaced) {
			return err
		}
		return nil
	})
	group.Go(func() error { return d.grpc.Serve(d.xdsListener) })
	group.Go(func() error {
		<-term.Done()
		d.grpc.Stop()
		return nil
	})
	group.Go(func() error {
		defer done()
		return d.reconciler.Run(term)
	})
	return group.Wait()
}

// leadersOnly turns proxies away as long as this process does not lead: what it would serve them may be out of date.
func leadersOnly(e *election.Election) grpc.ServerOption {
	return grpc.StreamInterceptor(func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
		if e.Epoch() == 0 {
			return status.Error(codes.Unavailable, "this process does not lead")
		}
		return handle(srv, stream)
	})
}

// leadersForge keeps reviews back as long as this process does not lead: a newer one may stand there.
type leadersForge struct {
	reconciler.Forge
	election *election.Election
}

// Post implements reconciler.Forge.
func (f leadersForge) Post(ctx context.Context, to forge.Target, r forge.Review) error {
	if f.election.Epoch() == 0 {
		return errors.New("this process does not lead at present")
	}
	return f.Forge.Post(ctx, to, r)
}

// announce tells the command line where the leader is.
func (d *daemon) announce() error {
	data, err := json.Marshal(address{Web: d.webListener.Addr().String(), XDS: d.xdsListener.Addr().String(), PID: os.Getpid()})
	if err != nil {
		return err
	}
	file := filepath.Join(d.settings.State, addressFile)
	if err := os.WriteFile(file+".new", data, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", addressFile, err)
	}
	return os.Rename(file+".new", file)
}

// withdraw takes the announcement back, unless another process leads by now.
func (d *daemon) withdraw() {
	file := filepath.Join(d.settings.State, addressFile)
	var a address
	if data, err := os.ReadFile(file); err == nil && json.Unmarshal(data, &a) == nil && a.PID == os.Getpid() {
		_ = os.Remove(file) // at worst the command line finds nobody there
	}
}
