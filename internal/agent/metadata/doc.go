// Package metadata answers guests that ask 169.254.169.254 who they are. A guest
// has no credentials; what identifies it is the network it is on and the address
// it asks from, which the anti-spoofing rules of its port vouch for. So there is
// one listener in each namespace that guests reach, each with its own table from
// address to instance.
//
// A request is handed on, with the identity in signed headers, to Nova or, on a
// machine without one, to the Backend of this package. Both see the same headers.
//
// Converge may be called from one goroutine at a time.
package metadata
