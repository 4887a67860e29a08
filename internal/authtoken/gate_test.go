package authtoken_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/authtoken"
)

// tokens is a source; those in the past are known only if late.
type tokens struct {
	now   time.Time
	known map[string]authtoken.Subject
}

func (s tokens) Look(_ context.Context, token string, late bool) (*authtoken.Subject, error) {
	v, ok := s.known[token]
	if token == "away" {
		return nil, weft.Errorf(weft.Unavailable, "ServiceUnavailable", "away")
	}
	if !ok {
		return nil, authtoken.Unauthorized()
	}
	return &v, nil
}

func world(required bool) *authtoken.Gate {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	soon := now.Add(time.Minute)
	subject := func(user string, expires time.Time, roles []string, rules ...weft.AccessRule) authtoken.Subject {
		return authtoken.Subject{Caller: weft.Caller{UserID: user, Roles: roles}, Expires: expires, Rules: rules}
	}
	return authtoken.New(authtoken.Config{
		Source: tokens{now, map[string]authtoken.Subject{
			"alice": subject("alice", soon, []string{"member"}), "late": subject("late", now, []string{"member"}),
			"nova": subject("nova", soon, []string{"service", "admin"}), "old nova": subject("nova", now, []string{"service"}),
			"plain": subject("plain", soon, []string{"admin"}),
			"robot": subject("robot", soon, []string{"service"},
				weft.AccessRule{Service: "network", Method: "GET", Path: "/v2.0/networks"}),
			"nothing": {Caller: weft.Caller{UserID: "nothing"}, Expires: soon, Rules: []weft.AccessRule{}},
			"limited": subject("limited", soon, []string{"member"}, weft.AccessRule{Service: "compute", Method: "GET", Path: "/**"}, weft.AccessRule{Service: "network", Method: "GET", Path: "/v2.0/networks/*"}),
		}},
		ServiceRoles: []string{"service"}, RolesRequired: required, ServiceType: "network",
		Now: func() time.Time { return now },
	})
}

func TestAdmit(t *testing.T) {
	get := func(token, service, path string) weft.Credentials {
		return weft.Credentials{Token: token, ServiceToken: service, Method: "GET", Path: path}
	}
	for _, c := range []struct {
		name     string
		show     weft.Credentials
		required bool
		want     string // the user, or the kind of refusal
	}{
		{"a user", get("alice", "", "/"), true, "alice"},
		{"nobody", get("", "", "/"), true, "unauthorized"},
		{"a service alone", get("", "nova", "/"), true, "unauthorized"},
		{"an unknown token", get("bad", "", "/"), true, "unauthorized"},
		{"an expired token", get("late", "", "/"), true, "unauthorized"},
		{"an expired token that a service passes on", get("late", "nova", "/"), true, "late"},
		{"one that somebody passes on who is no service", get("late", "plain", "/"), false, "unauthorized"},
		{"somebody who is no service", get("alice", "plain", "/"), true, "unauthorized"},
		{"somebody who need not be a service", get("alice", "plain", "/"), false, "alice"},
		{"an expired service", get("alice", "old nova", "/"), false, "unauthorized"},
		{"an unknown service", get("alice", "bad", "/"), false, "unauthorized"},
		{"nobody can tell", get("away", "", "/"), true, "unavailable"},
		{"nobody can tell of the service", get("alice", "away", "/"), true, "unavailable"},
		{"within the rules", get("limited", "", "/v2.0/networks/1"), true, "limited"},
		{"the rule of another service", get("limited", "", "/v2.0/ports"), true, "unauthorized"},
		{"another method", weft.Credentials{Token: "limited", Method: "DELETE", Path: "/v2.0/networks/1"}, true, "unauthorized"},
		{"a service is not limited by the user's rules", get("limited", "nova", "/v2.0/ports"), true, "limited"},
		{"his own token in the place of a service's", get("limited", "limited", "/v2.0/ports"), true, "unauthorized"},
		{"his own token where any will do", get("limited", "limited", "/v2.0/ports"), false, "unauthorized"},
		{"another's token where any will do", get("limited", "alice", "/v2.0/ports"), false, "unauthorized"},
		{"another's token where any will do, within the rules", get("limited", "alice", "/v2.0/networks/1"), false, "limited"},
		{"limited in the place of a service's", get("alice", "limited", "/v2.0/ports"), false, "unauthorized"},
		{"a limited service", get("robot", "robot", "/v2.0/ports"), true, "unauthorized"},
		{"a limited service that passes on what it may", get("alice", "robot", "/v2.0/networks"), true, "alice"},
		{"rules without a rule", get("nothing", "", "/v2.0/networks"), true, "unauthorized"},
	} {
		got := "other error"
		caller, err := world(c.required).Admit(t.Context(), c.show)
		switch {
		case err == nil:
			got = caller.UserID
		case weft.IsKind(err, weft.Unauthorized):
			got = "unauthorized"
		case weft.IsKind(err, weft.Unavailable):
			got = "unavailable"
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// The roles of a service are beside the user's, not among them.
func TestServiceRoles(t *testing.T) {
	got, err := world(true).Admit(t.Context(), weft.Credentials{Token: "alice", ServiceToken: "nova"})
	want := &weft.Caller{UserID: "alice", Roles: []string{"member"}, ServiceRoles: []string{"service", "admin"}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestCovers(t *testing.T) {
	for _, c := range []struct {
		pattern, path string
		want          bool
	}{
		{"/v2.0/networks", "/v2.0/networks", true},
		{"/v2.0/networks", "/v2x0/networks", false},
		{"/v2.0/networks", "/v2.0/networks/1", false},
		{"/v2.0/networks/*", "/v2.0/networks/1", true},
		{"/v2.0/networks/*", "/v2.0/networks/", false},
		{"/v2.0/networks/*", "/v2.0/networks/1/2", false},
		{"/v2.0/{noun}/{id}", "/v2.0/networks/1", true},
		{"/v2.0/{noun}/{id}", "/v2.0/networks", false},
		{"/v2.0/{noun", "/v2.0/{noun", true},
		{"/**", "/v2.0/networks/1", true},
		{"/v2.0/**/x", "/v2.0/a/b/x", true},
		{"/v2.0/**/x", "/v2.0/x", false},
		{"/net*s", "/networks", true},
		{"/[a-z]+", "/abc", false},
		{"", "", true},
	} {
		if got := (&weft.AccessRule{Path: c.pattern}).Covers(c.path); got != c.want {
			t.Errorf("%q covers %q: %t", c.pattern, c.path, got)
		}
	}
}
