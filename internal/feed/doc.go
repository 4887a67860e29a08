// Package feed gives each host the state it must realise, computed from one
// snapshot of the database, and takes back what the host has realised. It follows
// the change log: a host is woken only by changes that concern it, and misses none
// however long it was away.
package feed
