package peer

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Error is a service's answer that it has not done what it was asked.
type Error struct {
	Service string // its type
	Method  string
	Path    string
	Status  int
	Code    string // "placement.concurrent_update"; "" if it says none
	Message string // bounded
	Request string // the service's id of the request
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%s answers %s %s with %d", e.Service, e.Method, e.Path, e.Status)
	if e.Message != "" {
		s += ": " + e.Message
	}
	if e.Request != "" {
		s += " (" + e.Request + ")"
	}
	return s
}

// maxMessage bounds what of a service's words is repeated.
const maxMessage = 500

func refusal(service string, r Request, a *Answer) *Error {
	code, message := words(a.Body)
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "") + "…"
	}
	path, _, _ := strings.Cut(r.Path, "?")
	return &Error{Service: service, Method: r.Method, Path: path, Status: a.Status, Code: code, Message: message, Request: a.Request}
}

// words reads the forms of errors that there are: Nova has {"itemNotFound": {"message"}},
// Keystone {"error": {"message"}}, Placement {"errors": [{"detail", "code"}]}.
func words(body []byte) (code, message string) {
	var placement struct {
		Errors []struct{ Code, Detail string }
	}
	if json.Unmarshal(body, &placement) == nil && len(placement.Errors) > 0 {
		return placement.Errors[0].Code, clean(placement.Errors[0].Detail)
	}
	var others map[string]struct{ Message string }
	if json.Unmarshal(body, &others) == nil {
		for _, e := range others {
			return "", clean(e.Message)
		}
	}
	return "", ""
}

// clean is one line.
func clean(s string) string { return strings.Join(strings.Fields(s), " ") }
