// Command differential sends the same requests to a Neutron and to a weft and tells
// every difference between their answers: status, headers that clients read, the
// members of the body, their types and values, the type and message of errors. What
// chance or the clock decides is taken out first (normal.go).
//
// The requests are in requests/, one file a noun; explained is the list of the
// differences that are intended, each with its reason. Any other difference fails
// the run, and so does, in a run of all nouns, a line of the list that has explained
// nothing.
//
//	go run ./test/differential [-weft bin/weft] [-v] [NOUN ...]
//
// docs/testing.md says which Neutron it takes and how to have one.
package main
