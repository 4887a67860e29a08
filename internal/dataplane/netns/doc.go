// Package netns makes, finds, enters and deletes named network namespaces, in
// the place where iproute2 looks for them, so that `ip netns` sees ours.
//
// A namespace of ours is known by the alias of its loopback device (see package
// mark), which it has from before it has a name. Only such a namespace, of the right
// cloud and host, is ever deleted. Everything works as root and, with a writable /run, inside a user
// namespace of one's own.
package netns
