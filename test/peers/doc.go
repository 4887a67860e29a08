// Command peers runs the test suites of others, those that the projects around
// Neutron test a real one with, against a weft that it starts itself, in network and
// mount namespaces of its own:
//
//	go run ./test/peers [-weft bin/weft] [-log DIR] tempest|neutron-tempest|gophercloud|openstackclient|openstacksdk ...
//
// What a suite may fail or skip is in allowed/NAME.txt, a line each with its reason.
// Anything else that fails or is skipped fails the run, and so does a line that is
// true no longer: the lists only get shorter by themselves being noticed. A refusal
// of weft with status 500 fails the run too, whatever the suite makes of it.
package main
