// Package metadata answers guests that ask 169.254.169.254 who they are. A guest
// has no credentials; what identifies it is the interface that its request comes in
// by and the address it asks from. So there is one listener at each interface that
// guests reach, each with its own table from the addresses on that link to
// instances. It hears nothing of other interfaces, and what it answers goes to the
// link and by no router, whatever routes a tenant gave his: who is asked for by a
// router's extra route is not who is on the link. That nobody on the link asks under
// another's address the firewall vouches for, also of ports that may otherwise send
// under any.
//
// A request is handed on, with the identity in signed headers, to Nova or, on a
// machine without one, to the Backend of this package. Both see the same headers.
//
// Converge may be called from one goroutine at a time.
package metadata
