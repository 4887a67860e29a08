package weft

import (
	"errors"
	"fmt"
	"slices"
)

// Kind is the family of an Error. The API maps each kind to one HTTP status.
type Kind int

// The families of errors, after neutron-lib's base exceptions.
const (
	Internal     Kind = iota // 500
	BadRequest               // 400
	Forbidden                // 403
	NotFound                 // 404
	Conflict                 // 409
	Precondition             // 412
	Unavailable              // 503
	TooLong                  // 414
	NotAllowed               // 405
	Unauthorized             // 401
	NotSupported             // 501
	TooLarge                 // 413
)

// Error is a refusal that a client can act on. Type is the class name that
// Neutron gives the same refusal ("PortNotFound"), Message names the offending
// field and value, Detail is free text, Blockers is what blocks a deletion.
//
// Only refusals are Errors; anything else that goes wrong is a plain wrapped
// error and reaches the client as an opaque 500.
type Error struct {
	Kind     Kind
	Type     string
	Message  string
	Detail   string
	Blockers []Blocker

	RetryAfter int // in how many seconds to try again; 0: nobody knows
}

// Blocker is a noun that stands in the way. Whether the caller may know of it is for
// the API to find out, which shows it in the detail.
type Blocker struct{ Noun, ID string }

func (e *Error) Error() string { return e.Type + ": " + e.Message }

// Errorf makes an Error of the given kind and Neutron type. Of what a client gave it
// repeats no more than the beginning, however much that is.
func Errorf(kind Kind, typ, format string, args ...any) *Error {
	args = slices.Clone(args) // the caller's
	for i, a := range args {
		switch x := a.(type) {
		case string:
			args[i] = shortened(x, 2*excerpt)
		case error:
			args[i] = shortened(x.Error(), 2*excerpt)
		}
	}
	return &Error{Kind: kind, Type: typ, Message: fmt.Sprintf(format, args...)}
}

// excerpt is how many characters of what a client gave an answer repeats. Names have
// one less at most, so that one that is too long is shown whole.
const excerpt = 256

// Excerpt is the beginning of a text that a client gave, as an answer repeats it.
func Excerpt(s string) string { return shortened(s, excerpt) }

func shortened(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	n := 0
	for i := range s {
		if n++; n > limit {
			return s[:i] + "…"
		}
	}
	return s
}

// Away is the refusal of a request that cannot be served now but may be soon, as when
// the database is away.
func Away() *Error {
	return &Error{Kind: Unavailable, Type: "ServiceUnavailable", Message: "The service is unavailable.", RetryAfter: 2}
}

// BlockedBy adds what stands in the way.
func (e *Error) BlockedBy(noun string, ids ...string) *Error {
	for _, id := range ids {
		e.Blockers = append(e.Blockers, Blocker{noun, id})
	}
	return e
}

// Invalid is Neutron's InvalidInput: a value that cannot be accepted.
// The message reads "Invalid input for operation: ...".
func Invalid(format string, args ...any) *Error {
	return Errorf(BadRequest, "InvalidInput", "Invalid input for operation: "+format+".", args...)
}

// IsType reports whether err is, or wraps, an Error of one of these Neutron types.
func IsType(err error, types ...string) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	for _, t := range types {
		if e.Type == t {
			return true
		}
	}
	return false
}

// IsKind reports whether err is, or wraps, an Error of the given kind.
func IsKind(err error, kind Kind) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == kind
}
