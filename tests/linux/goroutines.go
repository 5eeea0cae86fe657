// SPDX-License-Identifier: BSD-2-Clause

// A static Go program: a thousand goroutines pass a number along a chain of channels, and net/http serves itself over the
// loopback interface. Its own exit status is 3 when all was right.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
)

const count = 1000

func chain() int {
	first := make(chan int)
	in := first
	for i := 0; i < count; i++ {
		out := make(chan int)
		go func(in, out chan int) { out <- 1 + <-in }(in, out)
		in = out
	}
	first <- 0
	return <-in
}

func serve() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.Path) }))
	var group sync.WaitGroup
	var lock sync.Mutex
	right := 0
	for i := 0; i < 50; i++ {
		group.Add(1)
		go func(path string) {
			defer group.Done()
			answer, err := http.Get("http://" + listener.Addr().String() + path)
			if err != nil {
				fmt.Println(err)
				return
			}
			defer answer.Body.Close()
			text, _ := io.ReadAll(answer.Body)
			lock.Lock()
			defer lock.Unlock()
			if string(text) == path {
				right++
			}
		}(fmt.Sprintf("/page%d", i))
	}
	group.Wait()
	return right, nil
}

func main() {
	passed := chain()
	right, err := serve()
	fmt.Println("chain", passed, "pages", right, err)
	if passed != count || right != 50 || err != nil {
		os.Exit(1)
	}
	os.Exit(3)
}
