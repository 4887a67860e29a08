// Package keystone knows tokens by asking a Keystone, as the user of a service that
// may validate them. What Keystone says is remembered, for a short time as the
// truth, so that a token that was revoked is soon refused; and for a longer time
// for want of anything better, so that those who work go on working while Keystone
// is away.
package keystone
