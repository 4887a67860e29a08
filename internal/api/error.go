package api

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/weftnet/weft"
)

// statuses maps the kinds of refusals to HTTP, after neutron-lib's faults.
var statuses = map[weft.Kind]int{
	weft.BadRequest: 400, weft.Unauthorized: 401, weft.Forbidden: 403, weft.NotFound: 404, weft.NotAllowed: 405,
	weft.Conflict: 409, weft.Precondition: 412, weft.NotSupported: 501, weft.Unavailable: 503, weft.TooLong: 414, weft.TooLarge: 413,
}

func badRequest(format string, args ...any) error {
	return weft.Errorf(weft.BadRequest, "HTTPBadRequest", format, args...)
}

func notFound() error {
	return weft.Errorf(weft.NotFound, "HTTPNotFound", "The resource could not be found.")
}

// notAllowed is said in the words that Neutron has for it.
func notAllowed() error {
	return weft.Errorf(weft.NotAllowed, "HTTPMethodNotAllowed", "The server could not comply with the request since it is either malformed or otherwise incorrect.")
}

// disallowed takes the rules as oslo.policy writes them: "rule:get_agent".
func disallowed(rules string) error {
	// Not by weft.Errorf, which shortens what it repeats: the rules are ours, and told whole.
	return &weft.Error{Kind: weft.Forbidden, Type: "PolicyNotAuthorized", Message: rules + " is disallowed by policy"}
}

// writeError answers with an error in Neutron's form. What is not a refusal is
// logged and shown as an opaque 500. sees is what the caller may be told of.
func writeError(w http.ResponseWriter, r *http.Request, log *slog.Logger, sees func(weft.Blocker) bool, err error) {
	var e *weft.Error
	if !errors.As(err, &e) {
		level := slog.LevelError
		if r.Context().Err() != nil { // the client has gone: nobody is to mend anything
			level = slog.LevelDebug
		}
		log.Log(r.Context(), level, "request failed", "method", r.Method, "path", r.URL.Path, "error", err)
		e = weft.Errorf(weft.Internal, "HTTPInternalServerError", "Request Failed: internal server error while processing your request.")
	}
	status := statuses[e.Kind]
	if status == 0 {
		status = 500
	}
	if e.Kind == weft.Unauthorized {
		writeUnauthorized(w)
		return
	}
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(e.RetryAfter))
	}
	key := "NeutronError"
	if e.Kind == weft.NotSupported {
		key = "NotImplementedError"
	}
	writeJSON(w, status, map[string]any{key: map[string]string{"type": e.Type, "message": e.Message, "detail": detail(e, sees)}})
}

// detail tells what stands in the way: "port 1b…, port 2c…". Of what the caller may not
// see it tells how many there are.
func detail(e *weft.Error, sees func(weft.Blocker) bool) string {
	var parts []string
	if e.Detail != "" {
		parts = append(parts, e.Detail)
	}
	hidden := 0
	for _, b := range e.Blockers {
		if sees(b) {
			parts = append(parts, b.Noun+" "+b.ID)
		} else {
			hidden++
		}
	}
	if hidden > 0 {
		parts = append(parts, strconv.Itoa(hidden)+" of other projects")
	}
	return strings.Join(parts, ", ")
}

// sees reports whether the caller may see what is in the way of a request.
func (rq *httpRequest) sees(b weft.Blocker) bool {
	if rq.caller == nil {
		return false
	}
	for _, c := range rq.s.order {
		if singular, _, _ := c.names(); singular == b.Noun {
			return c.sees(rq, rq.read(), b.ID)
		}
	}
	return true // no noun of its own: a part of the one that the request is about
}

// writeUnauthorized answers as keystonemiddleware does.
func writeUnauthorized(w http.ResponseWriter) {
	writeJSON(w, 401, map[string]any{"error": map[string]any{
		"code": 401, "title": "Unauthorized", "message": "The request you have made requires authentication."}})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		status, b = 500, []byte(`{"NeutronError":{"type":"HTTPInternalServerError","message":"Request Failed: internal server error while processing your request.","detail":""}}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(b)
}
