// Package nova tells Nova what becomes of its servers' ports, as Neutron does: that one
// is wired, which servers wait for when they boot, that it is no longer, that its
// addresses or floating IPs have changed, that it is gone.
//
// What there is to tell follows from the change log alone. The notifier is a follower
// of it whose position is stored once Nova has answered: a crash, a restart or an
// absent Nova loses nothing, though something may be told twice. Events of a port are
// told in the order in which they happened.
package nova
