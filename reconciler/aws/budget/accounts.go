package budget

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// Accounts are the budgets of AWS accounts, each with its own: what one is refused for its rate slows no other. It is safe for use by many
// goroutines.
type Accounts struct {
	limits Limits
	now    func() time.Time

	mu  sync.Mutex
	all map[string]*Budget
}

// Account is the budget of an account at a moment.
type Account struct {
	Account string `json:"account,omitempty"` // its number; empty: the daemon's own
	State
}

// NewAccounts makes budgets of the same limits for all accounts.
func NewAccounts(limits Limits, now func() time.Time) *Accounts {
	return &Accounts{limits: limits, now: now, all: map[string]*Budget{}}
}

// Of is the budget of an account, full when it is asked for the first time. A nil receiver has none.
func (a *Accounts) Of(number string) *Budget {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all[number] == nil {
		a.all[number] = New(a.limits, a.now)
	}
	return a.all[number]
}

// States tells where all budgets stand, by account.
func (a *Accounts) States() []Account {
	a.mu.Lock()
	all := maps.Clone(a.all)
	a.mu.Unlock()
	var out []Account
	for _, number := range slices.Sorted(maps.Keys(all)) {
		out = append(out, Account{number, all[number].State()})
	}
	return out
}
