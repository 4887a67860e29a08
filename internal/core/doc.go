// Package core holds the rules of networks, subnets, ports, subnet pools and
// address scopes: what a request may ask for, and everything else that changes
// because of it. Every function runs inside the caller's transaction, and either
// leaves all of a change in it or returns an error, with which the transaction
// must not be committed.
//
// Refusals are *weft.Error with the type and message that Neutron gives. Who may
// ask is not decided here but in the API's policy.
package core
