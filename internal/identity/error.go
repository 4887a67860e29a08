package identity

import (
	"errors"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/weftnet/weft"
)

var statuses = map[weft.Kind]int{
	weft.BadRequest: 400, weft.Unauthorized: 401, weft.Forbidden: 403, weft.NotFound: 404, weft.NotAllowed: 405,
	weft.Conflict: 409, weft.NotSupported: 501, weft.Unavailable: 503, weft.TooLarge: 413,
}

var (
	errNoURL = weft.Errorf(weft.NotFound, "NotFound", "The requested URL was not found on the server. "+
		"If you entered the URL manually please check your spelling and try again.")
)

func badRequest(format string, args ...any) error {
	return weft.Errorf(weft.BadRequest, "ValidationError", format, args...)
}

// incorrect is how many of Keystone's messages end.
const incorrect = "The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error."

// expecting is Keystone's message for what a request lacks.
func expecting(attribute, target string) error {
	return badRequest("Expecting to find %s in %s. %s", attribute, target, incorrect)
}

func unauthorized() error {
	return weft.Errorf(weft.Unauthorized, "Unauthorized", "The request you have made requires authentication.")
}

func forbidden(action string) error {
	return weft.Errorf(weft.Forbidden, "ForbiddenAction", "You are not authorized to perform the requested action: %s.", action)
}

func notFound(noun, id string) error {
	return weft.Errorf(weft.NotFound, "NotFound", "Could not find %s: %s.", noun, id)
}

func conflict(noun, details string) error {
	return weft.Errorf(weft.Conflict, "Conflict", "Conflict occurred attempting to store %s - %s.", noun, details)
}

// refuse answers with an error in Keystone's form. What is not a refusal is logged
// and shown as an opaque 500.
func (q *request) refuse(err error) {
	status, message := http.StatusInternalServerError, "An unexpected error prevented the server from fulfilling your request."
	var e *weft.Error
	switch {
	case errors.As(err, &e) && statuses[e.Kind] != 0:
		status, message = statuses[e.Kind], e.Message
	case q.ctx().Err() != nil: // the client has gone
		status, message = http.StatusServiceUnavailable, "The client gave up."
	default:
		level := slog.LevelError
		if q.ctx().Err() != nil { // the client has gone: nobody is to mend anything
			level = slog.LevelDebug
		}
		q.s.log.Log(q.ctx(), level, "request failed", "method", q.r.Method, "path", q.r.URL.Path, "request", q.id, "error", err)
	}
	if e != nil && e.RetryAfter > 0 {
		q.w.Header().Set("Retry-After", strconv.Itoa(e.RetryAfter))
	}
	if status == http.StatusUnauthorized {
		q.w.Header().Set("WWW-Authenticate", `Keystone uri="`+q.base()+`/v3"`)
	}
	q.reply(status, map[string]any{"error": map[string]any{ //nolint:errcheck // these values encode
		"code": status, "title": http.StatusText(status), "message": message}})
}
