// Command openstack brings up a small OpenStack of Debian's packages around a weft, in
// network and mount namespaces of its own, and tries what its users do: servers on
// Nova's fake driver and in QEMU, floating IPs, events, Placement, Heat, Horizon. Weft stands
// in the place of neutron-server and all of its agents.
//
//	go run ./test/openstack [-weft bin/weft] [-dir DIR] [-only flow,guests] [-boots 20] [-hold]
//
// Every file is below one folder; every process is ended at the end, also when this
// one is killed. Each scenario prints PASS or FAIL with what it saw and how long it
// took, and the exit status says whether all passed.
//
// What the services are configured with is in conf/, from which docs/openstack.md is
// written. With -hold the stack stays up until it is interrupted, and
//
//	nsenter -m -n -u -t $(cat DIR/run/stack.pid) $PWD/bin/openstack -attach -dir DIR -only heat
//
// plays scenarios in it.
package main
