// Package qos realises QoS policies: limits of bandwidth and of packets, and the
// marking with DSCP, of the ports on a host; and limits of what goes by the gateways
// and floating IPs of its routers.
//
// All of it is nftables, which every kernel has: what is beyond a limit is dropped,
// as a policer of tc would, and no queue delays anything. What a port sends counts
// once it is no false sender and before security groups; what it receives counts at
// the very end. A port's chain is found by its tap in a map, so that a port without
// limits costs one look-up, and a host without any has no table.
package qos
