// Package authtoken decides whether a request is let in, and as whom, by the rules
// of OpenStack's auth_token middleware: a token says who asks, the token of a
// service beside it lets the service finish what a user began before the user's
// token ended, and a token made of an application credential may be good for some
// requests only. Where the tokens come from is not its business.
package authtoken
