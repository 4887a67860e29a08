package weft

import "net/netip"

// AddressGroup is a set of prefixes that rules of security groups can name.
type AddressGroup struct {
	Meta
	Name        string             `json:"name"`
	Description string             `json:"description"`
	Addresses   List[netip.Prefix] `json:"addresses"` // without host bits, in order of their text
}
