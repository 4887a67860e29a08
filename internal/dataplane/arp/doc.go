// Package arp announces IPv4 addresses: it tells the neighbours of an interface
// inside a network namespace, unasked, which hardware address now stands behind
// an IP address, so that they do not wait for their caches to grow old.
package arp
