// SPDX-License-Identifier: BSD-2-Clause

// Four goroutines, each on a thread of its own, that add numbers up, count under a mutex and atomically, and send down a channel. Status 0 when every
// sum is right.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
)

const (
	threads = 4
	steps   = 200000
	report  = 1000
)

func main() {
	var lock sync.Mutex
	var counted, added uint64
	runtime.GOMAXPROCS(threads)
	sent := make(chan uint64)
	sums := make(chan uint64, threads)
	for thread := uint64(1); thread <= threads; thread++ {
		go func(factor uint64) {
			runtime.LockOSThread()
			sum := uint64(0)
			for i := uint64(0); i < steps; i++ {
				sum += i * factor
				if i%report == 0 {
					lock.Lock()
					counted++
					lock.Unlock()
					atomic.AddUint64(&added, i)
					sent <- i
				}
			}
			sums <- sum
		}(thread)
	}
	received := uint64(0)
	for i := 0; i < threads*steps/report; i++ {
		received += <-sent
	}
	total := uint64(0)
	for i := 0; i < threads; i++ {
		total += <-sums
	}
	each := uint64(steps) * (steps - 1) / 2
	reports := uint64(steps / report)
	wantSent := threads * report * reports * (reports - 1) / 2
	if total != each*threads*(threads+1)/2 || counted != threads*reports || added != wantSent || received != wantSent {
		fmt.Println("wrong:", total, counted, added, received)
		os.Exit(1)
	}
	fmt.Println("sums right")
}
