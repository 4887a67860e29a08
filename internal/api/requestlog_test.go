package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/api"
	"github.com/weftnet/weft/internal/policy"
)

// A request of Nova can be followed into the log, by the id that Nova gives it.
func TestRequestLog(t *testing.T) {
	const global = "req-01234567-89ab-4cde-8f01-23456789abcd"
	rules, err := policy.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	many := strings.Repeat("&id="+absent, 100)
	for _, tt := range []struct{ name, token, query, header, user, project, shown, global string }{
		{"a user", "alice", "name=a%20b&fields=id", global, "u-alice", projectA, "name=a%20b&fields=id", global},
		{"without a query", "bob", "", "", "u-bob", projectB, "", ""},
		{"who is not let in", "", "name=x", global, "", "", "name=x", global},
		{"secrets", "alice", "X-Auth-Token=1&my%5Fpassword=2&name=3", "", "u-alice", projectA,
			"X-Auth-Token=...&my%5Fpassword=...&name=3", ""},
		{"what is as long as a token", "alice", "name=" + strings.Repeat("x", 200), "", "u-alice", projectA, "name=...", ""},
		{"a token alone", "alice", strings.Repeat("x", 200), "", "u-alice", projectA, "...", ""},
		{"no id", "alice", "", "req-1\"", "u-alice", projectA, "", ""},
		{"a long query", "alice", many[1:], "", "u-alice", projectA, strings.Repeat("&id="+absent, 25)[1:] + "&...", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			s := api.NewServer(api.Config{Log: slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})),
				Policy: rules, Auth: authenticate})
			r := httptest.NewRequest(http.MethodGet, "/v2.0/nothing?"+tt.query, nil)
			r.Header.Set("X-Auth-Token", tt.token)
			r.Header.Set("X-OpenStack-Request-ID", tt.header)
			rec := httptest.NewRecorder()
			s.ServeHTTP(rec, r)
			var line struct {
				Msg, Method, Path, Query, User, Project, Request string
				Global                                           string `json:"global_request"`
				Status                                           int
			}
			if err := json.Unmarshal(bytes.TrimSpace(out.Bytes()), &line); err != nil {
				t.Fatalf("%v: %s", err, &out)
			}
			if line.Msg != "request" || line.Method != "GET" || line.Path != "/v2.0/nothing" || line.Status != rec.Code ||
				line.Request != rec.Header().Get("X-Openstack-Request-Id") {
				t.Errorf("%+v", line)
			}
			if line.Query != tt.shown || line.User != tt.user || line.Project != tt.project || line.Global != tt.global {
				t.Errorf("%+v", line)
			}
		})
	}
}

// A token of the system, or of a domain, is good for nothing where the operator has said
// so, whatever roles it has.
func TestScopes(t *testing.T) {
	rules, err := policy.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		caller  weft.Caller
		enforce bool
		want    int
	}{
		{weft.Caller{ProjectID: projectA}, true, 404},
		{weft.Caller{ProjectID: projectA}, false, 404},
		{weft.Caller{System: true}, true, 403},
		{weft.Caller{System: true}, false, 404},
		{weft.Caller{DomainID: "default"}, true, 403},
		{weft.Caller{DomainID: "default"}, false, 404},
		{weft.Caller{}, true, 404}, // without a scope: Keystone gives it no roles
	} {
		tt.caller.Roles = []string{"admin"}
		s := api.NewServer(api.Config{Log: slog.New(slog.DiscardHandler), Policy: rules, Projects: tt.enforce,
			Auth: func(context.Context, weft.Credentials) (*weft.Caller, error) { return &tt.caller, nil }})
		rec := httptest.NewRecorder()
		s.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/v2.0/nothing", nil))
		if rec.Code != tt.want {
			t.Errorf("%+v: %d %s", tt, rec.Code, rec.Body)
		}
	}
}
