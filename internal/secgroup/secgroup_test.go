package secgroup_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/quota"
	"github.com/weftnet/weft/internal/secgroup"
	"github.com/weftnet/weft/internal/store"
	"github.com/weftnet/weft/internal/store/storetest"
)

// world is a store and the service over it.
type world struct {
	*testing.T
	db *store.DB
	*secgroup.Service
}

func newWorld(t *testing.T) *world {
	t.Helper()
	db := storetest.DB(t)
	limits := quota.Defaults()
	limits["security_group"] = 100
	return &world{t, db, secgroup.New(quota.New(limits))}
}

var (
	admin  = &weft.Caller{ProjectID: "admin", Roles: []string{"admin"}, Admin: true}
	member = &weft.Caller{ProjectID: "p1", Roles: []string{"member"}}
)

func (w *world) as(c *weft.Caller, fn func(*store.Tx) error) error {
	return w.db.Update(w.Context(), c, fn)
}

// must fails the test if fn does.
func (w *world) must(c *weft.Caller, fn func(*store.Tx) error) {
	w.Helper()
	if err := w.as(c, fn); err != nil {
		w.Fatal(err)
	}
}

func (w *world) group(project, name string, stateful bool) *weft.SecurityGroup {
	w.Helper()
	g := &weft.SecurityGroup{Name: name, Stateful: stateful}
	g.ProjectID = project
	w.must(admin, func(tx *store.Tx) error { return w.CreateGroup(tx, g, nil) })
	return g
}

func (w *world) share(id, project string) {
	w.Helper()
	p := &weft.RBACPolicy{ObjectType: "security_group", ObjectID: id, Action: weft.AccessShared, TargetTenant: project}
	p.ProjectID = "p1"
	w.must(admin, func(tx *store.Tx) error { return store.RBACPolicies.Insert(tx, p) })
}

// port puts a port into groups.
func (w *world) port(groups ...string) {
	w.Helper()
	w.must(admin, func(tx *store.Tx) error {
		n := &weft.Network{}
		if err := store.Networks.Insert(tx, n); err != nil {
			return err
		}
		return store.Ports.Insert(tx, &weft.Port{NetworkID: n.ID, SecurityGroups: groups, MAC: weft.MAC{1}})
	})
}

// rules is what the rules of a group say, in no telling order.
func (w *world) rules(group string) map[string]int {
	w.Helper()
	rules, err := store.SecurityGroupRules.Find(w.db.Read(w.Context(), admin), store.Eq("security_group_id", group))
	if err != nil {
		w.Fatal(err)
	}
	out := map[string]int{}
	for _, r := range rules {
		remote := string(r.RemoteGroupID)
		if remote == group {
			remote = "itself"
		}
		out[r.ProjectID+" "+r.Direction+" "+r.EtherType+" "+string(r.Protocol)+" "+remote]++
	}
	return out
}

func (w *world) revision(id string) int64 {
	w.Helper()
	g, err := store.SecurityGroups.Get(w.db.Read(w.Context(), admin), id)
	if err != nil {
		w.Fatal(err)
	}
	return g.Revision
}

func (w *world) want(got error, want string) {
	w.Helper()
	text := ""
	if got != nil {
		text = got.Error()
	}
	if text != want {
		w.Errorf("error\n got %s\nwant %s", text, want)
	}
}

func TestDefaultGroup(t *testing.T) {
	w := newWorld(t)
	var id string
	for range 2 {
		w.must(member, func(tx *store.Tx) (err error) {
			got, err := w.DefaultGroup(tx, "p1")
			if id != "" && got != id {
				t.Errorf("a second default group %s", got)
			}
			id = got
			return err
		})
	}
	g, err := store.SecurityGroups.Get(w.db.Read(t.Context(), admin), id)
	if err != nil || g.Name != "default" || g.Description != "Default security group" || !g.Stateful || g.ProjectID != "p1" {
		t.Errorf("default group %+v, error %v", g, err)
	}
	want := map[string]int{"p1 egress IPv4  ": 1, "p1 egress IPv6  ": 1, "p1 ingress IPv4  itself": 1, "p1 ingress IPv6  itself": 1}
	if diff := cmp.Diff(want, w.rules(id)); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	w.must(admin, func(tx *store.Tx) error {
		if id, err := w.DefaultGroup(tx, ""); id != "" || err != nil {
			t.Errorf("a default group of no project: %q, %v", id, err)
		}
		return nil
	})
}

func TestCreateGroup(t *testing.T) {
	w := newWorld(t)
	g := w.group("p1", "web", true)
	if diff := cmp.Diff(map[string]int{"p1 egress IPv4  ": 1, "p1 egress IPv6  ": 1}, w.rules(g.ID)); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	if id, err := w.FindDefault(w.db.Read(t.Context(), member), "p1"); id == "" || err != nil {
		t.Errorf("no default group beside it: %v", err)
	}
	for _, name := range []string{"default", "DEFAULT"} {
		w.want(w.as(member, func(tx *store.Tx) error { return w.CreateGroup(tx, &weft.SecurityGroup{Name: name}, nil) }),
			"SecurityGroupDefaultAlreadyExists: Default security group already exists.")
	}
}

func TestRulesOfANewGroupCount(t *testing.T) {
	w := newWorld(t)
	w.Service = secgroup.New(quota.New(map[string]int{"security_group_rule": 7}))
	w.group("p1", "a", true) // with the default group's, 6 rules
	w.want(w.as(member, func(tx *store.Tx) error {
		g := &weft.SecurityGroup{Name: "b"}
		g.ProjectID = "p1"
		return w.CreateGroup(tx, g, nil)
	}), "OverQuota: Quota exceeded for resources: ['security_group_rule'].")
}

func TestUpdateGroup(t *testing.T) {
	w := newWorld(t)
	free, used := w.group("p1", "free", true), w.group("p1", "used", true)
	w.port(used.ID)
	def, err := w.FindDefault(w.db.Read(t.Context(), admin), "p1")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, id string
		change   func(*weft.SecurityGroup)
		given    weft.Given
		want     string
	}{
		{"name", free.ID, func(g *weft.SecurityGroup) { g.Name = "x" }, weft.Given{"name": true}, ""},
		{"to default", free.ID, func(g *weft.SecurityGroup) { g.Name = "Default" }, weft.Given{"name": true},
			"SecurityGroupDefaultAlreadyExists: Default security group already exists."},
		{"default's name", def, func(g *weft.SecurityGroup) { g.Name = "x" }, weft.Given{"name": true},
			"SecurityGroupCannotUpdateDefault: Updating default security group not allowed."},
		{"default's description", def, func(g *weft.SecurityGroup) { g.Description = "x" }, weft.Given{"description": true}, ""},
		{"stateless", free.ID, func(g *weft.SecurityGroup) { g.Stateful = false }, weft.Given{"stateful": true}, ""},
		{"stateless in use", used.ID, func(g *weft.SecurityGroup) { g.Stateful = false }, weft.Given{"stateful": true},
			"SecurityGroupInUse: Security Group " + used.ID + " in use."},
		{"stateful as it was", used.ID, func(g *weft.SecurityGroup) {}, weft.Given{"stateful": true}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.want(w.as(member, func(tx *store.Tx) error {
				old, err := store.SecurityGroups.Get(tx, c.id)
				if err != nil {
					return err
				}
				g := weft.Clone(old)
				c.change(g)
				return w.UpdateGroup(tx, old, g, c.given)
			}), c.want)
		})
	}
}

func TestDeleteGroup(t *testing.T) {
	w := newWorld(t)
	doomed, used, beside := w.group("p1", "doomed", true), w.group("p1", "used", true), w.group("p1", "beside", true)
	w.port(used.ID)
	w.share(doomed.ID, "p2")
	w.must(member, func(tx *store.Tx) error {
		return w.CreateRule(tx, rule(beside.ID, func(r *weft.SecurityGroupRule) { r.RemoteGroupID = weft.ID(doomed.ID) }), nil)
	})
	before := w.revision(beside.ID)
	remove := func(c *weft.Caller, id string) error {
		return w.as(c, func(tx *store.Tx) error {
			g, err := store.SecurityGroups.Get(tx, id)
			if err != nil {
				return err
			}
			return w.DeleteGroup(tx, g)
		})
	}
	def, _ := w.FindDefault(w.db.Read(t.Context(), admin), "p1")
	w.want(remove(member, used.ID), "SecurityGroupInUse: Security Group "+used.ID+" in use.")
	w.want(remove(member, def), "SecurityGroupCannotRemoveDefault: Insufficient rights for removing default security group.")
	w.want(remove(admin, def), "")
	w.want(remove(member, doomed.ID), "")
	if rules := w.rules(doomed.ID); len(rules) != 0 {
		t.Errorf("rules left: %v", rules)
	}
	if diff := cmp.Diff(map[string]int{"p1 egress IPv4  ": 1, "p1 egress IPv6  ": 1}, w.rules(beside.ID)); diff != "" {
		t.Errorf("rules beside (-want +got):\n%s", diff)
	}
	if now := w.revision(beside.ID); now != before+1 {
		t.Errorf("revision beside %d after %d", now, before)
	}
	if n, err := store.RBACPolicies.Count(w.db.Read(t.Context(), admin)); n != 0 || err != nil {
		t.Errorf("%d shares left, error %v", n, err)
	}
}

func TestCheckGroups(t *testing.T) {
	w := newWorld(t)
	mine, loose := w.group("p1", "mine", true), w.group("p1", "loose", false)
	shared, theirs := w.group("p2", "shared", true), w.group("p2", "theirs", true)
	w.share(shared.ID, "p1")
	const mixed = "SecurityGroupConflict: Error Cannot apply both stateful and stateless security groups on the same port at the same time while attempting the operation."
	for _, c := range []struct {
		name   string
		caller *weft.Caller
		ids    []string
		want   string
	}{
		{"none", member, nil, ""},
		{"own and shared", member, []string{mine.ID, shared.ID}, ""},
		{"unknown", member, []string{mine.ID, "none"}, "SecurityGroupNotFound: Security group none does not exist"},
		{"somebody else's", member, []string{theirs.ID}, "SecurityGroupNotFound: Security group " + theirs.ID + " does not exist"},
		{"any, for an admin", admin, []string{mine.ID, theirs.ID}, ""},
		{"stateful and stateless", member, []string{mine.ID, loose.ID}, mixed},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.want(w.CheckGroups(w.db.Read(t.Context(), c.caller), "p1", c.ids), c.want)
		})
	}
}

func rule(group string, change func(*weft.SecurityGroupRule)) *weft.SecurityGroupRule {
	r := &weft.SecurityGroupRule{SecurityGroupID: group, Direction: weft.Ingress, EtherType: weft.IPv4}
	r.ProjectID = "p1"
	if change != nil {
		change(r)
	}
	return r
}
