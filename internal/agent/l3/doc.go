// Package l3 keeps the routers of one host: a namespace qrouter-ID each, with a
// leg qr- on every internal network and qg- on the external one, their addresses
// and routes, and the translation of addresses (source translation, floating IPs,
// forwarded ports, the way to the metadata service) in the nftables table weft of the
// namespace. Connection tracking helpers and what of IPv6 NDP proxies publish have
// tables of their own beside it.
//
// A restarted agent finds all of it and touches nothing. What comes is announced
// by gratuitous ARP; what goes takes the connections that were translated with it
// along. Router advertisements are another's task: a router here has its IPv6
// addresses and routes, and forwards.
package l3
