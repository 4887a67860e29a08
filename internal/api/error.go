package api

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	"github.com/weftnet/weft"
)

// statuses maps the kinds of refusals to HTTP, after neutron-lib's faults.
var statuses = map[weft.Kind]int{
	weft.BadRequest: 400, weft.Unauthorized: 401, weft.Forbidden: 403, weft.NotFound: 404, weft.NotAllowed: 405,
	weft.Conflict: 409, weft.Precondition: 412, weft.NotSupported: 501, weft.Unavailable: 503, weft.TooLong: 414,
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
	return weft.Errorf(weft.Forbidden, "PolicyNotAuthorized", "%s is disallowed by policy", rules)
}

// writeError answers with an error in Neutron's form. What is not a refusal is
// logged and shown as an opaque 500.
func writeError(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	var e *weft.Error
	if !errors.As(err, &e) {
		log.ErrorContext(r.Context(), "request failed", "method", r.Method, "path", r.URL.Path, "error", err)
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
	key := "NeutronError"
	if e.Kind == weft.NotSupported {
		key = "NotImplementedError"
	}
	writeJSON(w, status, map[string]any{key: map[string]string{"type": e.Type, "message": e.Message, "detail": e.Detail}})
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
