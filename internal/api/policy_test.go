package api_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/weftnet/weft/internal/api"
	"github.com/weftnet/weft/internal/policy"
	"github.com/weftnet/weft/internal/store"
	"github.com/weftnet/weft/internal/store/storetest"
)

// An operator's rule about who sees a noun narrows and widens what lists, shows and
// changes find.
func TestOperatorsOwnRules(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorldRuled(t, db, map[string]string{
			"get_network":    "role:admin or (project_id:%(project_id)s and not 'hidden':%(name)s) or field:networks:shared=True",
			"get_router":     "role:reader",
			"get_port":       "role:admin or project_id:%(network:project_id)s",
			"get_subnetpool": "!",
		})
		make := func(user, path, body string) string {
			t.Helper()
			rec := w.do(user, "POST", "/v2.0/"+path, body, nil)
			if rec.Code != 201 {
				t.Fatalf("%s: %d %s", path, rec.Code, rec.Body)
			}
			return firstID(rec.Body.Bytes())
		}
		plain := make("alice", "networks", `{"network":{"name":"plain"}}`)
		hidden := make("alice", "networks", `{"network":{"name":"hidden"}}`)
		shared := make("admin", "networks", `{"network":{"name":"shared","shared":true}}`)
		router := make("alice", "routers", `{"router":{"name":"r"}}`)
		foreign := make("bob", "ports", `{"port":{"network_id":"`+shared+`"}}`)
		mine := make("alice", "ports", `{"port":{"network_id":"`+plain+`"}}`)

		sees := func(user, path string, want ...string) {
			t.Helper()
			var doc map[string][]struct{ ID string }
			rec := w.do(user, "GET", "/v2.0/"+path, "", nil)
			if err := json.Unmarshal(rec.Body.Bytes(), &doc); err != nil {
				t.Fatalf("%s: %s", path, rec.Body)
			}
			var got []string
			for _, list := range doc {
				for _, v := range list {
					got = append(got, v.ID)
				}
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("%s sees %v of %s, not %v", user, got, path, want)
			}
		}
		answers := func(user, method, path string, want int) {
			t.Helper()
			body := map[string]string{"PUT": `{"network":{"description":"x"}}`}[method]
			if rec := w.do(user, method, "/v2.0/"+path, body, nil); rec.Code != want {
				t.Errorf("%s %s %s: %d, not %d", user, method, path, rec.Code, want)
			}
		}
		sees("alice", "networks", plain, shared)
		sees("bob", "networks", shared)
		sees("admin", "networks", plain, hidden, shared)
		answers("alice", "GET", "networks/"+hidden, 404)
		answers("alice", "PUT", "networks/"+hidden, 404)
		answers("alice", "PUT", "networks/"+plain, 200)
		sees("bob", "routers", router)
		answers("bob", "GET", "routers/"+router, 200)
		sees("bob", "ports")
		answers("bob", "GET", "ports/"+foreign, 404)
		sees("alice", "ports", mine)
		answers("admin", "GET", "ports/"+foreign, 200)
		pool := make("alice", "subnetpools", `{"subnetpool":{"name":"p","prefixes":["10.0.0.0/8"]}}`)
		sees("alice", "subnetpools")
		answers("admin", "GET", "subnetpools/"+pool, 404)
	})
}

// A rule that lets owners see an attribute lets them filter on it among what is
// theirs; one that asks for more lets nobody.
func TestFiltersOnWhatOwnersSee(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorldRuled(t, db, map[string]string{
			"get_network:provider:network_type": "rule:admin_or_owner",
			"get_network:mtu":                   "role:admin or field:networks:shared=True",
			"get_network:name":                  "rule:admin_or_owner",
			"get_network:tags":                  "role:admin",
		})
		for user, body := range map[string]string{"alice": `{"network":{"name":"a"}}`,
			"admin": `{"network":{"name":"b","shared":true}}`} {
			id := firstID(w.do(user, "POST", "/v2.0/networks", body, nil).Body.Bytes())
			if rec := w.do(user, "PUT", "/v2.0/networks/"+id+"/tags/x", "", nil); rec.Code != 201 {
				t.Fatalf("%d %s", rec.Code, rec.Body)
			}
		}
		for _, c := range []struct {
			user, query string
			want        int
		}{
			{"alice", "", 2},
			{"alice", "?provider:network_type=vxlan", 1},
			{"bob", "", 1},
			{"bob", "?provider:network_type=vxlan", 0},
			{"admin", "?provider:network_type=vxlan", 2},
			{"alice", "?mtu=1450", 0},
			{"admin", "?mtu=1450", 2},
			{"alice", "?tags=x", 0},
			{"alice", "?not-tags=y", 0},
			{"admin", "?not-tags=y", 2},
		} {
			rec := w.do(c.user, "GET", "/v2.0/networks"+c.query, "", nil)
			var doc struct{ Networks []any }
			if err := json.Unmarshal(rec.Body.Bytes(), &doc); err != nil || len(doc.Networks) != c.want {
				t.Errorf("%s %s: %d networks, not %d: %s", c.user, c.query, len(doc.Networks), c.want, rec.Body)
			}
		}
		by := func(user, order string) string {
			return w.do(user, "GET", "/v2.0/networks?fields=id&sort_key=name&sort_dir="+order, "", nil).Body.String()
		}
		if by("alice", "asc") != by("alice", "desc") || by("admin", "asc") == by("admin", "desc") {
			t.Error("what is hidden sorts, or what is shown does not")
		}
	})
}

// Only an operator's rule makes something everybody's: no table has an attribute for
// it that anybody may set who may set the rest.
func TestSharingHasRules(t *testing.T) {
	rules, err := policy.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := api.NewServer(api.Config{Policy: rules})
	testCloud().Register(s)
	for rule := range api.SettableBy(s, "shared", "router:external") {
		if !rules.Has(rule) || rules.Allow(rule, callers["mia"], func(string) any { return projectA }) {
			t.Errorf("%s does not keep a project's manager from it", rule)
		}
	}
}

// Who is an administrator is the operator's to say, and holds for all that one may do.
func TestWhoIsAdmin(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorldRuled(t, db, map[string]string{"context_is_admin": "role:manager",
			"context_is_advsvc": "role:reader and project_id:" + projectB})
		bobs := w.make(t, "bob", "networks", `{"network":{"name":"bobs"}}`)
		answers := func(user, method, path, body string, want int) {
			t.Helper()
			if rec := w.do(user, method, "/v2.0/"+path, body, nil); rec.Code != want {
				t.Errorf("%s %s %s: %d, not %d: %s", user, method, path, rec.Code, want, rec.Body)
			}
		}
		// mia is a manager, and now an administrator
		answers("mia", "GET", "networks/"+bobs, "", 200)
		answers("mia", "PUT", "networks/"+bobs, `{"network":{"name":"mias"}}`, 200)
		answers("mia", "POST", "networks", `{"network":{"project_id":"`+projectB+`"}}`, 201)
		answers("mia", "POST", "networks", `{"network":{"provider:network_type":"vxlan"}}`, 201)
		// bob reads for his service
		alices := w.make(t, "alice", "networks", `{"network":{}}`)
		answers("bob", "GET", "networks/"+alices, "", 200)
		answers("bob", "DELETE", "networks/"+alices, "", 403)
		answers("alice", "GET", "networks/"+bobs, "", 404)
		answers("alice", "POST", "networks", `{"network":{"project_id":"`+projectB+`"}}`, 400)
	})
}
