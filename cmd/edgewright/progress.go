package main

import (
	"fmt"
	"io"
	"sync"
)

// progress is how far an evaluation of many declarations is.
type progress struct {
	mu        sync.Mutex
	done, all int
}

func (p *progress) note(done, all int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done, p.all = done, all; done == all {
		p.done, p.all = 0, 0
	}
}

func (p *progress) now() (done, all int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done, p.all
}

// tellProgress writes a line over itself on a terminal, for what takes more than one round; elsewhere it is silent.
func tellProgress(w io.Writer) func(done, all int) {
	if !colour(w) {
		return nil
	}
	told := false
	return func(done, all int) {
		switch {
		case done < all:
			told = true
			fmt.Fprintf(w, "\revaluating %d of %d", done, all)
		case told:
			fmt.Fprint(w, "\r\x1b[K")
		}
	}
}
