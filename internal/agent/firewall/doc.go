// Package firewall filters the ports of a host: who may send as whom, and the
// rules of security groups, with connection tracking.
//
// Connections are tracked where every kernel can: br_netfilter shows bridged IP
// packets to the inet family, which knows connections but not the port a packet
// came by; the bridge family knows ports but, without nf_conntrack_bridge, no
// connections. So they talk by the packet's mark. The bridge table ("weft") writes
// the conntrack zone of the port's network into it, the inet table ("weft-ct")
// tracks the packet in that zone and answers whether its connection is
// established, and the bridge table decides. Before the packet leaves, the mark is
// cleared. Where there is no br_netfilter but nf_conntrack_bridge, the chains that
// track are in the bridge table too.
//
// What a bridge of a physical or local network carries to the host itself stays in
// the host's own zone: the host's firewall and its translations know only that.
//
// What differs from port to port is in sets and maps, and ports with equal groups
// share chains, so that one more port, or one more member of a group, is a few
// elements and no rule.
package firewall
