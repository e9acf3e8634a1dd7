package envoy

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

type validated interface {
	proto.Message
	ValidateAll() error
}

// encode validates a message and marshals it so that equal messages are equal bytes.
func encode(m validated) ([]byte, error) {
	if err := m.ValidateAll(); err != nil {
		return nil, fmt.Errorf("validate %s: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	return data, nil
}

// packed wraps a message of ours. It panics on what cannot be encoded, which is a fault of the program.
func packed(m proto.Message) *anypb.Any {
	wrapped := &anypb.Any{}
	if err := anypb.MarshalFrom(wrapped, m, proto.MarshalOptions{Deterministic: true}); err != nil {
		panic(fmt.Sprintf("encode %T: %v", m, err))
	}
	return wrapped
}

func seconds(d time.Duration) *durationpb.Duration { return durationpb.New(d) }

func count(n int) *wrapperspb.UInt32Value { return wrapperspb.UInt32(uint32(n)) }

func yes() *wrapperspb.BoolValue { return wrapperspb.Bool(true) }
