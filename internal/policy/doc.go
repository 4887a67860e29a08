// Package policy decides who may do what, in oslo.policy's rule language and under
// Neutron's rule names, so that an operator's policy.yaml means here what it means
// there.
//
// # Defaults
//
// Of the two sets of defaults that Neutron Zed carries, the built-in rules are the
// new one (what Neutron calls enforce_new_defaults): a reader of a project may
// look, a member may change, an admin may do all. Zed out of the box still lets
// every role of a project write, readers too; a cloud that needs this says so in
// its policy.yaml. Roles imply each other (admin, manager, member, reader), also
// where a token does not spell the implied ones out.
//
// # What cannot be decided
//
// Rules fail closed. A rule that does not exist, or that refers to itself, has no
// outcome; neither has a check of something about the caller that weft does not
// know. What has no outcome admits nobody, not even under a "not": checks are
// evaluated in Kleene's three-valued logic. A text that is not of the language is
// refused when it is loaded.
package policy
