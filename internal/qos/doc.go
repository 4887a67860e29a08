// Package qos keeps QoS policies and their rules, and judges what they are given
// to: who may give a policy, and whether the data plane honours its rules there.
// Its hooks are called by core and l3.
package qos
