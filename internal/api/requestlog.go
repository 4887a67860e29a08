package api

import (
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/weftnet/weft"
)

// globalID is how services name the request of a user that they work on: Nova sends it
// with all that it asks of us for that.
var globalID = regexp.MustCompile(`^req-[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}$`)

// globalRequest is the id that the caller gives the request; "" if it is none.
func globalRequest(r *http.Request) string {
	if id := r.Header.Get("X-Openstack-Request-Id"); globalID.MatchString(id) {
		return id
	}
	return ""
}

// logWith is the log of what concerns one request.
func (s *Server) logWith(id, global string) *slog.Logger {
	log := s.Log.With("request", id)
	if global != "" {
		log = log.With("global_request", global)
	}
	return log
}

// logAnswered tells the log of a request that has been answered.
func (rq *httpRequest) logAnswered(status int, took time.Duration) {
	ctx := rq.r.Context()
	if !rq.log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	caller := rq.caller
	if caller == nil { // it has not been let in
		caller = &weft.Caller{}
	}
	rq.log.DebugContext(ctx, "request", "method", rq.r.Method, "path", rq.r.URL.Path,
		"query", shownQuery(rq.r.URL.RawQuery), "status", status, "took", took, "user", caller.UserID, "project", caller.ProjectID)
}

// What of a query is shown.
const (
	maxShownValue = 100 // longer than names and ids, shorter than tokens
	maxShownQuery = 1000
)

var secretWords = []string{"token", "secret", "passw", "credential", "key", "auth", "sign"}

// shownQuery is a query as the log shows it, as it was sent: without the values that
// may be secrets, and no longer than is of use.
func shownQuery(raw string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(raw, "&") {
		name, value, valued := strings.Cut(part, "=")
		if shown := shownParameter(name, value); valued && shown != value {
			part = name + "=" + shown
		} else if !valued && len(name) > maxShownValue {
			part = "..."
		}
		if b.Len()+len(part) > maxShownQuery {
			b.WriteString("&...")
			break
		}
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(part)
	}
	return b.String()
}

func shownParameter(name, value string) string {
	plain, err := url.QueryUnescape(name)
	plain = strings.ToLower(plain)
	secret := slices.ContainsFunc(secretWords, func(word string) bool { return strings.Contains(plain, word) })
	if err != nil || secret || len(value) > maxShownValue {
		return "..."
	}
	return value
}
