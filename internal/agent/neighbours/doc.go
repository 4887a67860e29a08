// Package neighbours has routers and services forget who had an address before. An
// instance that takes over another's address need not say so, and the kernel believes
// for many seconds what it learned last; the State tells at once.
package neighbours
