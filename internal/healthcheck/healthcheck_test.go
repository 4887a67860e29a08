package healthcheck_test

import (
	"errors"
	"net/http/httptest"
	"testing"

	"github.com/weftnet/weft/internal/healthcheck"
)

func TestAnswer(t *testing.T) {
	away := errors.New(`the "database" is away`)
	const text, object = "text/plain; charset=UTF-8", "application/json"
	for _, c := range []struct {
		method, accept string
		failure        error
		status         int
		kind, body     string
	}{
		{"GET", "", nil, 200, text, "OK"},
		{"GET", "*/*", nil, 200, text, "OK"},
		{"GET", "application/xml", nil, 200, text, "OK"},
		{"GET", "text/plain, application/json", nil, 200, text, "OK"},
		{"OPTIONS", "", nil, 200, text, "OK"},
		{"POST", "", nil, 200, text, "OK"},
		{"HEAD", "", nil, 204, "", ""},
		{"GET", "application/json", nil, 200, object, "{\n    \"detailed\": false,\n    \"reasons\": [\n        \"OK\"\n    ]\n}"},
		{"GET", "application/json;q=0.9, */*", nil, 200, object,
			"{\n    \"detailed\": false,\n    \"reasons\": [\n        \"OK\"\n    ]\n}"},
		{"GET", "", away, 503, text, `the "database" is away`},
		{"HEAD", "", away, 503, "", ""},
		{"GET", "application/json", away, 503, object, "{\n    \"detailed\": false,\n    \"reasons\": [\n        \"the \\\"database\\\" is away\"\n    ]\n}"},
	} {
		r, w := httptest.NewRequest(c.method, "/healthcheck", nil), httptest.NewRecorder()
		if c.accept != "" {
			r.Header.Set("Accept", c.accept)
		}
		healthcheck.Answer(w, r, c.failure)
		if w.Code != c.status || w.Header().Get("Content-Type") != c.kind || w.Body.String() != c.body {
			t.Errorf("%s, Accept %q, failure %v: %d %q %q", c.method, c.accept, c.failure, w.Code, w.Header().Get("Content-Type"), w.Body)
		}
	}
}

func TestAsked(t *testing.T) {
	for path, want := range map[string]bool{"/healthcheck": true, "/healthcheck/": true, "/healthcheck/x": true,
		"/healthchecks": false, "/v2.0/healthcheck": false, "/": false} {
		if got := healthcheck.Asked(path); got != want {
			t.Errorf("%s: %t", path, got)
		}
	}
}
