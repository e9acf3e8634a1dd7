// Package jail evaluates declarations in child processes that have limits on memory, CPU and time, no network, no files and no
// way to start a program, so that a hostile file costs its own service a problem and nobody else anything.
//
// It is not the evaluation itself: that is schema/load, which runs inside the child and knows nothing of processes.
//
//	Evaluator (parent)                          Serve (child)
//	start, limits frame      ──────────▶        confine: rlimits, no_new_privs, seccomp allow-list
//	                         ◀──────────        ready: schema compiled, or why not (then nothing is evaluated)
//	file                     ──────────▶        evaluate
//	watch CPU, memory, wall  ◀──────────        result
//	… one file at a time; after a breach the child is killed and the next file goes to a fresh one
package jail
