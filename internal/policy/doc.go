// Package policy decides who may do what, in oslo.policy's rule language and under
// Neutron's rule names, so that an operator's policy.yaml means here what it means
// there.
//
// The built-in rules are those that Neutron enforces by default since 2023.2: a
// reader of a project may look, a member may change, an admin may do all. (Zed
// still lets every role of a project write.)
package policy
