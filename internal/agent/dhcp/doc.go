// Package dhcp serves DHCP on the networks of one host. Each network has a
// namespace (qdhcp-<network id>) with one interface in it, and one goroutine
// that answers from a table of known ports: an address is never chosen here, only
// told, so a restart loses nothing and two servers of one network never disagree.
//
// The answers are those of dnsmasq as Neutron's DHCP agent configures it, because
// guests have learnt to live with exactly these.
//
// Converge is the only way in. It may be called from one goroutine at a time.
package dhcp
