// Package weft holds the nouns of cloud networking (network, subnet, port,
// router, floating IP, security group, ...) and the rules that need nothing but
// the noun itself. It does no I/O and imports only the standard library; every
// other package of the module may import it.
//
// A noun is a plain struct. Its JSON tags are the attribute names of the
// OpenStack Networking API v2.0, because that document is also what the store
// keeps (docs/decisions/0002-stored-form-is-wire-form.md). How an attribute is
// validated, who may see it, and how it is filtered is declared once per noun in
// internal/api; which attributes are indexed is declared in internal/store.
package weft
