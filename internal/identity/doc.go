// Package identity is the identity service of a cloud that has no Keystone: it
// speaks enough of Keystone's v3 API for the clients of one, and tells the
// Networking API who calls.
//
// A token is a sealed note (Fernet, as Keystone's) of who it was issued to, for
// which scope and until when; its roles are looked up, not noted, so that taking a
// role away takes effect at once. Every user, project and domain has an epoch that
// grows when tokens that involve it must die, and a token notes the sum of the
// epochs it was issued under: sums are equal only if nothing has happened since.
// That needs no clock and no list; a list is kept only of single tokens that were
// given back.
//
// Looked-up tokens are remembered until anything about identity changes, in this
// process or, as the change log tells, in another.
package identity
