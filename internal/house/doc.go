// Package house holds no code. Its tests keep the house rules: which package may
// depend on which, and that every package says why it exists.
package house
