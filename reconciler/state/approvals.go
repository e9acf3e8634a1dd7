package state

import (
	"context"
	"encoding/json"
)

// All reads every approval by step ID.
func (v Approvals) All(ctx context.Context) (map[string]Approval, error) {
	approvals := map[string]Approval{}
	err := all(ctx, v.Store, approvalTable, func(item Item) error {
		var a Approval
		err := json.Unmarshal(item.Value, &a)
		approvals[item.Key] = a
		return err
	})
	return approvals, err
}
