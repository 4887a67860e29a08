// Package l2 wires the ports of one host with the kernel's bridge: a bridge for
// each network, what carries the network to other hosts (a VXLAN device with its
// forwarding entries, a physical interface, a VLAN of one), and the taps of the
// ports on their bridges. Neutron's users know it as the Linux bridge agent; the
// names are the same.
//
// Each phase observes the kernel, plans (pure, printable as `ip` text) and
// applies. What is right is not touched, so that a restart moves no packet.
//
// Bridges, VXLAN and VLAN devices carry the alias "weft:network:ID", the VLAN
// devices that are the taps of trunks' subports "weft:subport:ID"; nothing else is
// ever deleted. All other taps are made by others. Who makes one for an instance (Nova,
// by libvirt) puts it on the bridge too, as Neutron has it, and we wait for that; the
// rest, and what `weft plug` makes, is put on its bridge here. A physical interface gives its IPv4 addresses and
// routes to the bridge while it is a port of it, and has them back afterwards.
package l2
