// Package outside makes a stand-in for the outside world, for a machine that has
// no interface to spare for a physical network: a namespace with a leg to the
// host, whose host end serves the L2 agent as the physical interface. In there is
// what is outside of a real deployment: the gateways of the subnets of flat
// networks, with nothing behind them.
package outside
