// Package body reads the bodies of requests at a cost that is bounded, for one
// request and for all that are under way: by size, by depth and number of the values
// in it before any of them is made, and by budgets that requests wait for.
package body
