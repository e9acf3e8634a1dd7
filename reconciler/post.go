package reconciler

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/edgewright/edgewright/reconciler/forge"
	"github.com/edgewright/edgewright/reconciler/state"
)

// retryPost is how long a review that the forge did not take waits.
const retryPost = 5 * time.Second

// posting is a review on its way to a target.
type posting struct {
	target forge.Target
	review forge.Review
	plan   *state.Plan // that people can see once it is posted
	steady string      // what it says, without what changes while it means the same
}

// posts are the reviews that are not posted yet: per target only the newest.
type posts struct {
	mu    sync.Mutex
	queue map[forge.Target]posting
	said  map[forge.Target]string // what stands there
	poke  chan struct{}
}

func newPosts() *posts {
	return &posts{queue: map[forge.Target]posting{}, said: map[forge.Target]string{}, poke: make(chan struct{}, 1)}
}

// put queues a review, unless it says what stands there already.
func (p *posts) put(one posting) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.said[one.target] == one.steady {
		delete(p.queue, one.target)
		return
	}
	p.queue[one.target] = one
	select {
	case p.poke <- struct{}{}:
	default:
	}
}

// next takes the review that people wait for most: pulls before commits, newest first.
func (p *posts) next() (posting, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	targets := make([]forge.Target, 0, len(p.queue))
	for t := range p.queue {
		targets = append(targets, t)
	}
	if len(targets) == 0 {
		return posting{}, false
	}
	first := slices.MinFunc(targets, func(a, b forge.Target) int {
		return cmp.Or(-cmp.Compare(a.Pull, b.Pull), cmp.Compare(a.SHA, b.SHA))
	})
	one := p.queue[first]
	delete(p.queue, first)
	return one, true
}

// back puts a review that was not taken back, unless there is a newer one.
func (p *posts) back(one posting) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, newer := p.queue[one.target]; !newer {
		p.queue[one.target] = one
	}
}

func (p *posts) stands(one posting) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.said) > 10*maxFollowed { // it is asked again what stands there: no harm
		clear(p.said)
	}
	p.said[one.target] = one.steady
}

// post brings reviews to the forge, one at a time.
func (r *Reconciler) post(ctx context.Context) {
	for {
		one, any := r.posts.next()
		if !any {
			select {
			case <-ctx.Done():
				return
			case <-r.posts.poke:
			}
			continue
		}
		if err := r.postOne(ctx, one); err == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(retryPost):
		}
	}
}

func (r *Reconciler) postOne(ctx context.Context, one posting) error {
	call, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err := r.Forge.Post(call, one.target, one.review)
	var moved *forge.MovedError
	switch {
	case errors.As(err, &moved):
		r.HintPulls() // its next plan is for the new head
		return nil
	case err != nil:
		r.posts.back(one)
		if ctx.Err() == nil {
			r.Log.Warn("review cannot be posted", "pull", one.target.Pull, "commit", short(one.target.SHA), "error", err)
			r.Metrics.Failures.WithLabelValues("forge").Inc()
			r.send(ctx, postFailed{err})
		}
		return err
	}
	r.posts.stands(one)
	if one.plan != nil {
		r.send(ctx, posted{*one.plan})
	} else {
		r.send(ctx, postFailed{})
	}
	return nil
}
