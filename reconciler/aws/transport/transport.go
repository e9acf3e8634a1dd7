// Package transport keeps the answers of AWS from being lost on this side of the wire.
package transport

import (
	"context"
	"fmt"
	"io"

	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

const id = "KeepAnswer"

// KeepAnswer is an option of aws.Config.APIOptions. Given twice it does the same.
//
// The SDK closes the body of a request as soon as the answer begins. A body that io.WriterTo can be asked of answers then with io.EOF,
// which io.Copy takes for a failure to write: if net/http is about to make sure that nothing of the body is left, as happens on a busy
// machine, it closes the connection under the answer, and the call ends with "use of closed network connection" though AWS has taken it
// (smithy-go to v1.28.9, transport/http/internal/io.safeWriteToReadCloser). A body that can only be read is told that it is at its end.
func KeepAnswer(stack *middleware.Stack) error {
	if _, there := stack.Build.Get(id); there {
		return nil
	}
	return stack.Build.Add(middleware.BuildMiddlewareFunc(id, onlyRead), middleware.After)
}

// onlyRead makes the body of a request one that can be read and no more.
func onlyRead(ctx context.Context, in middleware.BuildInput, next middleware.BuildHandler) (middleware.BuildOutput, middleware.Metadata, error) {
	if r, is := in.Request.(*smithyhttp.Request); is {
		if body, seekable := r.GetStream().(io.ReadSeeker); seekable {
			var err error
			if in.Request, err = r.SetStream(struct{ io.ReadSeeker }{body}); err != nil {
				return middleware.BuildOutput{}, middleware.Metadata{}, fmt.Errorf("take the body of a request: %w", err)
			}
		}
	}
	return next.HandleBuild(ctx, in)
}
