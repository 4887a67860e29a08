// Package e2e holds no code. Its tests prove the promises that only a whole weft
// can keep: the real binary runs on a host of its own (a network and a mount
// namespace), is driven as users drive it, and is killed and restarted as fate does
// it. They do not reach into the process; they look at the API, the kernel and the
// database file.
package e2e
