// Package l3 realises routers: each in a namespace qrouter-ID with an interface
// for every port, joined to the port's bridge by a veth, with addresses, routes
// and translation. A plan is the difference between what a router must be and what
// the kernel has, printed as one would do it by hand; a router that is right is not
// touched.
package l3
