package jail

import (
	"time"

	"github.com/edgewright/edgewright/schema/load"
)

// Limits bound one child and each file that it evaluates. A zero field takes its default.
type Limits struct {
	Memory      int64         // bytes of one child; default 512 MiB
	WallPerFile time.Duration // default 2s
	CPUPerFile  time.Duration // over all threads, garbage collection included; default 2s
	Input       int           // bytes of one file with all that it uses; default 1 MiB
	Output      int           // bytes of one result; default 4 MiB
}

const mebibyte = 1 << 20

func (l Limits) withDefaults() Limits {
	return Limits{
		Memory:      orDefault(l.Memory, 512*mebibyte),
		WallPerFile: orDefault(l.WallPerFile, 2*time.Second),
		CPUPerFile:  orDefault(l.CPUPerFile, 2*time.Second),
		Input:       orDefault(l.Input, load.MaxUnit),
		Output:      orDefault(l.Output, 4*mebibyte),
	}
}

func orDefault[T int | int64 | time.Duration](v, otherwise T) T {
	if v <= 0 {
		return otherwise
	}
	return v
}
