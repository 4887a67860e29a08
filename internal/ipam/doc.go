// Package ipam gives addresses to ports: it knows a subnet's default gateway and
// pools, which subnets a port takes addresses from, and which addresses are free.
//
// It only reads the store. Addresses become taken when the port is written, in
// the same transaction; since one transaction writes at a time, what was found
// free still is.
package ipam
