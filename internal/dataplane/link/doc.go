// Package link is the part of the kernel's routing netlink that weft uses, with
// our types: interfaces with their masters and marks, addresses, routes,
// neighbours and forwarding entries, interface settings, and news of interfaces.
//
// A Handle works in one network namespace from any thread. Making and changing an
// interface goes out as one datagram that the kernel works off in one system
// call, so that a process killed at any moment leaves no interface without its
// mark. Lists are complete: a dump that the kernel reports as torn is repeated.
package link
