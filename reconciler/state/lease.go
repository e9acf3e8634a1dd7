package state

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Lease says which process may write: one at a time. It is two rows. The first names the holder; its version counts the holders and is the
// epoch, which every write of a holder demands. The second is written again and again by the holder, so that others see that it lives.
// No clock of one process is ever compared with that of another: who waits looks whether the second row moves.
type Lease struct{ Store Store }

const (
	leaseTable = "lease"
	holderKey  = "holder"
	beatKey    = "beat"
)

// ErrFenced is what a process gets that may no longer write: another has taken over, or it never had the lease.
var ErrFenced = errors.New("another process has the lease")

// Term is the time of one holder.
type Term struct {
	Holder string    `json:"holder"` // empty: the lease was given back
	Since  time.Time `json:"since"`  // by the holder's clock
	Epoch  int64     `json:"-"`      // 0: nobody ever had the lease
	Beat   int64     `json:"-"`      // as it was read: it moves as long as the holder lives
}

// Read is who has the lease.
func (v Lease) Read(ctx context.Context) (Term, error) {
	t, epoch, _, err := read[Term](ctx, v.Store, leaseTable, holderKey)
	if err != nil {
		return Term{}, fmt.Errorf("read lease: %w", err)
	}
	t.Epoch = epoch
	beat, err := v.Store.Get(ctx, leaseTable, beatKey)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Term{}, fmt.Errorf("read lease: %w", err)
	}
	t.Beat = beat.Version
	return t, nil
}

// Take makes a process the holder, if the lease is still as it was seen; else it is ErrConflict. From then on whoever had it is fenced.
func (v Lease) Take(ctx context.Context, seen Term, holder string, now time.Time) (Term, error) {
	t := Term{Holder: holder, Since: now.UTC(), Epoch: seen.Epoch + 1}
	op, err := put(leaseTable, holderKey, t, seen.Epoch)
	if err != nil {
		return Term{}, err
	}
	return t, v.Store.Write(ctx, op, beatOp(holder, seen.Beat))
}

// Renew shows that the holder lives; ErrFenced when another has taken over.
func (v Lease) Renew(ctx context.Context, t Term) error {
	err := v.Store.Write(ctx, epochIs(t.Epoch), beatOp(t.Holder, Any))
	if errors.Is(err, ErrConflict) {
		return ErrFenced
	}
	return err
}

// GiveBack ends a term, so that the next process need not wait.
func (v Lease) GiveBack(ctx context.Context, t Term) error {
	op, err := put(leaseTable, holderKey, Term{Since: t.Since}, t.Epoch)
	if err != nil {
		return err
	}
	if err = v.Store.Write(ctx, op); errors.Is(err, ErrConflict) {
		return ErrFenced
	}
	return err
}

// beatOp moves the second row; what it says is of no matter.
func beatOp(holder string, version int64) Op {
	return Op{Table: leaseTable, Key: beatKey, Value: fmt.Appendf(nil, "%q", holder), Version: version}
}

func epochIs(epoch int64) Op {
	return Op{Table: leaseTable, Key: holderKey, Version: epoch, Check: true}
}

// Fenced is a store as the holder of a term may use it: anybody's reads, and writes that are made only as long as nobody has taken over,
// else they are ErrFenced. So a holder that slept through its own replacement changes nothing.
type Fenced struct {
	Store
	Epoch func() int64 // of the term; 0: there is none
}

// Write implements Store.
func (f Fenced) Write(ctx context.Context, ops ...Op) error {
	epoch := f.Epoch()
	if epoch == 0 {
		return ErrFenced
	}
	err := f.Store.Write(ctx, append([]Op{epochIs(epoch)}, ops...)...)
	if !errors.Is(err, ErrConflict) {
		return err
	}
	// Somebody was faster: with one of these rows, which the caller may try again, or with the lease, which ends it all.
	if item, readErr := f.Store.Get(ctx, leaseTable, holderKey); readErr != nil || item.Version != epoch {
		return errors.Join(ErrFenced, readErr)
	}
	return err
}
