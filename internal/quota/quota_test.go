package quota_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/quota"
	"github.com/weftnet/weft/internal/store"
	"github.com/weftnet/weft/internal/store/storetest"
)

func open(t *testing.T) *store.DB {
	t.Helper()
	db := storetest.DB(t)
	return db
}

func update(t *testing.T, db *store.DB, fn func(*store.Tx) error) {
	t.Helper()
	if err := db.Update(t.Context(), &weft.Caller{Roles: []string{"admin"}, Admin: true}, fn); err != nil {
		t.Fatal(err)
	}
}

func networks(t *testing.T, db *store.DB, project string, n int) {
	t.Helper()
	update(t, db, func(tx *store.Tx) error {
		for range n {
			v := &weft.Network{Status: weft.StatusActive}
			v.ProjectID = project
			if err := store.Networks.Insert(tx, v); err != nil {
				return err
			}
		}
		return nil
	})
}

func TestCheck(t *testing.T) {
	db := open(t)
	s := quota.New(map[string]int{"network": 3, "router": quota.Unlimited, "port": 0})
	networks(t, db, "p1", 2)
	networks(t, db, "p2", 2)
	networks(t, db, "", 9)
	update(t, db, func(tx *store.Tx) error { return s.Set(tx, "p2", map[string]int{"network": 2, "port": -1}, false) })
	for _, c := range []struct {
		name, project, resource string
		delta                   int
		want                    string
	}{
		{"within the default", "p1", "network", 1, ""},
		{"beyond the default", "p1", "network", 2, "OverQuota: Quota exceeded for resources: ['network']."},
		{"nothing more", "p2", "network", 0, ""},
		{"beyond its own limit", "p2", "network", 1, "OverQuota: Quota exceeded for resources: ['network']."},
		{"unlimited by default", "p1", "router", 1000, ""},
		{"none by default", "p1", "port", 1, "OverQuota: Quota exceeded for resources: ['port']."},
		{"unlimited of its own", "p2", "port", 1000, ""},
		{"no project", "", "network", 1000, ""},
		{"not limited", "p1", "log", 1000, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := text(s.Check(db.Read(t.Context(), nil), c.project, c.resource, c.delta)); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestLimitsFollowRowsAndUse(t *testing.T) {
	db := open(t)
	s := quota.New(map[string]int{"network": 3, "router": 10})
	networks(t, db, "p1", 2)
	update(t, db, func(tx *store.Tx) error {
		if err := s.Set(tx, "p1", map[string]int{"router": 5}, true); err != nil {
			return err
		}
		return s.Set(tx, "p1", map[string]int{"router": 6}, true)
	})
	read := db.Read(t.Context(), nil)
	details, err := s.Details(read, "p1")
	if diff := cmp.Diff(map[string]quota.Detail{"network": {Limit: 3, Used: 2}, "router": {Limit: 6}}, details); diff != "" || err != nil {
		t.Errorf("details (-want +got):\n%s%v", diff, err)
	}
	ids, limits, err := s.Projects(read)
	if diff := cmp.Diff([]string{"p1"}, ids); diff != "" || err != nil {
		t.Errorf("projects (-want +got):\n%s%v", diff, err)
	}
	if diff := cmp.Diff(map[string]map[string]int{"p1": {"network": 3, "router": 6}}, limits); diff != "" {
		t.Errorf("limits (-want +got):\n%s", diff)
	}
	update(t, db, func(tx *store.Tx) error {
		if err := s.Reset(tx, "p1"); err != nil {
			return err
		}
		if got, want := text(s.Reset(tx, "p1")), "TenantQuotaNotFound: Quota for tenant p1 could not be found."; got != want {
			t.Errorf("second reset: %q, want %q", got, want)
		}
		limits, err := s.Limits(tx, "p1")
		if diff := cmp.Diff(map[string]int{"network": 3, "router": 10}, limits); diff != "" {
			t.Errorf("after reset (-want +got):\n%s", diff)
		}
		return err
	})
}

func TestSetRefuses(t *testing.T) {
	db := open(t)
	s := quota.New(map[string]int{"network": 3})
	networks(t, db, "p1", 2)
	for _, c := range []struct {
		name   string
		limits map[string]int
		check  bool
		want   string
	}{
		{"unknown resources", map[string]int{"b": 1, "a": 1, "network": 1}, false, "HTTPBadRequest: Unrecognized attribute(s) 'a, b'"},
		{"less than is used", map[string]int{"network": 1}, true, "HTTPBadRequest: Quota limit 1 for network must be greater than or equal to already used 2"},
		{"less than is used, by force", map[string]int{"network": 1}, false, ""},
		{"unlimited", map[string]int{"network": -1}, true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			update(t, db, func(tx *store.Tx) error {
				if got := text(s.Set(tx, "p1", c.limits, c.check)); got != c.want {
					t.Errorf("got %q, want %q", got, c.want)
				}
				return nil
			})
		})
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
