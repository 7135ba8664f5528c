// Go's side of the benchmark: profiles of goroutines that are blocked on a channel.
//
//	goroutines COUNT profile OUTPUT    the first goroutine profile (debug=0) and the next ones
//	goroutines COUNT dump OUTPUT       the full text dump (debug=2)
//
// It prints the same lines as bench/tasks.c.
package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

const nextProfiles = 3

var (
	jobs    = make(chan int)
	waiting int64
)

//go:noinline
func level1() { level2(); keep() }

//go:noinline
func level2() { level3(); keep() }

//go:noinline
func level3() { level4(); keep() }

//go:noinline
func level4() { level5(); keep() }

//go:noinline
func level5() { level6(); keep() }

//go:noinline
func level6() { level7(); keep() }

//go:noinline
func level7() {
	atomic.AddInt64(&waiting, 1)
	<-jobs
}

func keep() {}

const (
	idle = iota
	without
	during
	phases
)

var (
	phase int32
	// Nanoseconds, by phase.
	longestGap [phases]int64
)

func pin(cpu uint) {
	runtime.LockOSThread()
	set := [16]uint64{1 << cpu}
	// Best effort, as in the C program.
	syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, unsafe.Sizeof(set),
		uintptr(unsafe.Pointer(&set)))
}

func noteGap(in int32, gap int64) {
	if gap > atomic.LoadInt64(&longestGap[in]) {
		atomic.StoreInt64(&longestGap[in], gap)
	}
}

func spin() {
	pin(1)
	begin := time.Now()
	lastPhase, last := int32(idle), time.Duration(0)
	for {
		now := time.Since(begin)
		nowPhase := atomic.LoadInt32(&phase)
		noteGap(lastPhase, int64(now-last))
		noteGap(nowPhase, int64(now-last))
		lastPhase, last = nowPhase, now
	}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func watched(write func() error) time.Duration {
	atomic.StoreInt64(&longestGap[during], 0)
	atomic.StoreInt64(&longestGap[without], 0)
	start := time.Now()
	atomic.StoreInt32(&phase, during)
	err := write()
	atomic.StoreInt32(&phase, idle)
	took := time.Since(start)
	fail(err)
	time.Sleep(10 * time.Millisecond)
	atomic.StoreInt32(&phase, without)
	time.Sleep(took)
	atomic.StoreInt32(&phase, idle)
	time.Sleep(10 * time.Millisecond)
	fmt.Println("stall_during_ns", atomic.LoadInt64(&longestGap[during]))
	fmt.Println("stall_without_ns", atomic.LoadInt64(&longestGap[without]))
	return took
}

// block starts the goroutines and waits until all of them wait.
func block(count int64, entry func()) {
	for i := int64(0); i < count; i++ {
		go entry()
	}
	for atomic.LoadInt64(&waiting) < count {
		time.Sleep(time.Millisecond)
	}
	// Rubbish of the start is none of the profile's business.
	runtime.GC()
}

func profile(output string) {
	var out bytes.Buffer
	goroutine := pprof.Lookup("goroutine")
	took := watched(func() error { return goroutine.WriteTo(&out, 0) })
	fmt.Println("first_ns", took.Nanoseconds())
	fail(os.WriteFile(output+".first", out.Bytes(), 0o600))
	for i := 0; i < nextProfiles; i++ {
		out.Reset()
		start := time.Now()
		fail(goroutine.WriteTo(&out, 0))
		fmt.Println("next_ns", time.Since(start).Nanoseconds())
	}
	fail(os.WriteFile(output+".next", out.Bytes(), 0o600))
}

func dump(output string) {
	out, err := os.OpenFile(output, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	fail(err)
	took := watched(func() error { return pprof.Lookup("goroutine").WriteTo(out, 2) })
	fmt.Println("dump_ns", took.Nanoseconds())
}

func main() {
	usage := fmt.Errorf("usage: goroutines COUNT profile|dump OUTPUT")
	if len(os.Args) != 4 {
		fail(usage)
	}
	count, err := strconv.ParseInt(os.Args[1], 10, 64)
	fail(err)
	go spin()
	pin(0)
	switch os.Args[2] {
	case "profile":
		// With the three frames of Go's own in which a receive blocks, these are seven.
		block(count, level4)
		profile(os.Args[3])
	case "dump":
		// Which a dump does not show.
		block(count, level1)
		dump(os.Args[3])
	default:
		fail(usage)
	}
}
