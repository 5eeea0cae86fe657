// SPDX-License-Identifier: BSD-2-Clause

// An HTTP server on port 8000 by net/http.
package main

import (
	"fmt"
	"net/http"
	"os"
)

func main() {
	err := http.ListenAndServe(":8000", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "out of a stone") }))
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
