// Package nft keeps a table of nftables at a desired value. A Table is a plain
// value of chains, rules and sets whose text form is nft's own, so that it can be
// read and compared in tests; Conn.Converge brings the kernel's table to it by the
// smallest change, in one transaction: a packet sees the table before or after,
// never in between. What is right already is not touched, also by a process that
// has just started: every rule carries a hash of its text, by which it is known
// again.
package nft
