// Package plug attaches a network namespace, or a tap device for a virtual
// machine, to a port, as a hypervisor does for an instance. It makes only the
// instance's half: the device tap<port id> at the host end is left for the agent,
// which sees it appear, puts it on the bridge of the port's network and filters it.
//
// The host end carries the alias "weft:plug:<port id>@<cloud>", so that the agents and a
// cleanup know it from what they make themselves.
package plug
