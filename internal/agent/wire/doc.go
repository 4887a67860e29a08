// Package wire keeps a network namespace of ours in a desired shape: its settings,
// its legs (veth pairs whose other end is on the host, usually on a bridge), their
// addresses, and its routes. A router and the stand-in for the outside world are
// both no more than that, with something added.
//
// A Space is the desired shape, an Observed what the kernel has; Space.Plan is the
// way from the one to the other, a pure function whose operations read as ip(8)
// would have them. What is right is not touched.
package wire
