// Package agent keeps one host as the server says it must be. It learns the
// host's State from a Source and changes of interfaces from the kernel, brings
// both together by calling the modules that realise the parts (bridges and taps,
// firewall, DHCP, routers, metadata) in an order that is safe for packets, and
// tells a Reporter what is realised.
//
// It does not poll for changes: between one and its pass lies only the pass before.
// What somebody else undoes it is told by the kernel, as far as that tells: of
// interfaces, of namespaces that lose their names, of nftables. For the rest (an
// address taken away inside a namespace, a kernel setting) it looks at everything
// now and then.
//
// Each pass observes the kernel anew, so that a restarted agent needs no memory,
// and a pass over a host that is right does nothing. What fails is tried again,
// ever more rarely; what a module cannot do does not keep the others from theirs.
package agent
