// Package healthcheck says whether a server can serve, in the form in which
// OpenStack's services say it at /healthcheck and load balancers ask for it: without
// a token, by any method.
package healthcheck

import (
	"encoding/json"
	"net/http"
	"strings"
)

// Path is where load balancers ask.
const Path = "/healthcheck"

// Asked reports whether a path is the check's.
func Asked(path string) bool { return path == Path || strings.HasPrefix(path, Path+"/") }

// Answer writes 200 and OK, or 503 and what is wrong: as text, or as JSON if that is
// what the client accepts. HEAD is answered by the status alone, which is 204 if all
// is well.
func Answer(w http.ResponseWriter, r *http.Request, failure error) {
	status, reason := http.StatusOK, "OK"
	if failure != nil {
		status, reason = http.StatusServiceUnavailable, failure.Error()
	}
	if r.Method == http.MethodHead {
		if failure == nil {
			status = http.StatusNoContent
		}
		w.WriteHeader(status)
		return
	}
	body, kind := []byte(reason), "text/plain; charset=UTF-8"
	if wantsJSON(r.Header.Get("Accept")) {
		kind = "application/json"
		body, _ = json.MarshalIndent(map[string]any{"detailed": false, "reasons": []string{reason}}, "", "    ") // texts have a form
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	w.Write(body) //nolint:errcheck // a client that has gone is no error of ours
}

// wantsJSON reports whether JSON is named among what a client accepts, and text is
// not named before it.
func wantsJSON(accept string) bool {
	for part := range strings.SplitSeq(accept, ",") {
		kind, _, _ := strings.Cut(part, ";")
		switch strings.TrimSpace(kind) {
		case "application/json":
			return true
		case "text/plain", "text/*", "*/*":
			return false
		}
	}
	return false
}
