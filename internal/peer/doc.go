// Package peer asks the other services of the cloud, such as Nova and Placement, as
// a user of Keystone's. A Session is a login there: its token serves until shortly
// before it ends, or until it is refused. A Service is one of those in the catalogue
// that comes with the token. Every question has a deadline and every answer a bound;
// passwords and tokens are in no error and in no log.
package peer
