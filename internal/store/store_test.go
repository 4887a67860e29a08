package store

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/weftnet/weft"
)

func open(t testing.TB) *DB {
	t.Helper()
	db, err := Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "weft.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func admin() *weft.Caller {
	return &weft.Caller{ProjectID: "p1", UserID: "u1", Roles: []string{"admin"}, Admin: true, RequestID: "req-1"}
}

func update(t testing.TB, db *DB, fn func(tx *Tx) error) {
	t.Helper()
	if err := db.Update(context.Background(), admin(), fn); err != nil {
		t.Fatal(err)
	}
}

func TestInsertUpdateDelete(t *testing.T) {
	db := open(t)
	var id string
	update(t, db, func(tx *Tx) error {
		n := &weft.Network{Name: "a", Status: "ACTIVE", Provider: &weft.Provider{NetworkType: "local"}}
		n.ProjectID = "p1"
		n.Tags = []string{"x"}
		err := Networks.Insert(tx, n)
		id = n.ID
		return err
	})
	update(t, db, func(tx *Tx) error {
		n, err := Networks.Get(tx, id)
		if err != nil {
			return err
		}
		if n.Provider == nil || n.NetworkType != "local" || n.Revision != 1 {
			t.Errorf("read back %+v", n)
		}
		if err := Networks.Update(tx, n); err != nil || n.Revision != 1 {
			t.Errorf("an update without a change: revision %d, error %v", n.Revision, err)
		}
		n.Name = "b"
		return Networks.Update(tx, n)
	})
	rows := 0
	err := Networks.Rows(db.Read(t.Context(), admin()), Query{Where: []Cond{Eq("name", "b")}, Limit: 10}, func(r Row) error {
		rows++
		if got := string(r.Extra[0]); got != "[]" {
			t.Errorf("subnets = %s", got)
		}
		return nil
	})
	if err != nil || rows != 1 {
		t.Fatalf("%d rows, error %v", rows, err)
	}
	update(t, db, func(tx *Tx) error {
		n, err := Networks.Get(tx, id)
		if err != nil {
			return err
		}
		return Networks.Delete(tx, n)
	})
	changes, err := db.Read(t.Context(), nil).Changes(0, 10)
	if err != nil {
		t.Fatal(err)
	}
	var ops string
	for _, c := range changes {
		ops += fmt.Sprintf("%d %s %s %d;", c.Seq, c.Op, c.Noun, c.Revision)
	}
	if want := "1 create networks 1;2 update networks 2;3 delete networks 2;"; ops != want {
		t.Errorf("change log %q, want %q", ops, want)
	}
	if _, err := Networks.Get(db.Read(t.Context(), nil), id); !weft.IsType(err, "NetworkNotFound") {
		t.Errorf("after delete: %v", err)
	}
}

func BenchmarkInsertPort(b *testing.B) {
	db := open(b)
	n := &weft.Network{Status: "ACTIVE"}
	update(b, db, func(tx *Tx) error { return Networks.Insert(tx, n) })
	i := 0
	for b.Loop() {
		i++
		err := db.Update(b.Context(), admin(), func(tx *Tx) error {
			p := &weft.Port{NetworkID: n.ID, Status: "DOWN", SecurityGroups: []string{"g"}, MAC: weft.MAC{0xfa, 0x16, 0x3e, byte(i >> 16), byte(i >> 8), byte(i)}}
			p.ProjectID = "p1"
			return Ports.Insert(tx, p)
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCommit(b *testing.B) {
	db := open(b)
	i := 0
	for b.Loop() {
		i++
		err := db.Update(b.Context(), admin(), func(tx *Tx) error {
			_, err := tx.Exec("INSERT INTO settings (name, value) VALUES (?, ?)", fmt.Sprint(i), "x")
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkList10k(b *testing.B) {
	db := open(b)
	n := &weft.Network{Status: "ACTIVE"}
	update(b, db, func(tx *Tx) error {
		if err := Networks.Insert(tx, n); err != nil {
			return err
		}
		for i := range 10000 {
			p := &weft.Port{NetworkID: n.ID, Status: "DOWN", SecurityGroups: []string{"g"}, MAC: weft.MAC{0xfa, 0x16, 0x3e, byte(i >> 16), byte(i >> 8), byte(i)}}
			p.ProjectID = "p1"
			if err := Ports.Insert(tx, p); err != nil {
				return err
			}
		}
		return nil
	})
	for b.Loop() {
		total := 0
		if err := Ports.Rows(db.Read(b.Context(), admin()), Query{}, func(r Row) error { total += len(r.Doc); return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
