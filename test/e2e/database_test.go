package e2e

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// database opens the cloud's database for reading only.
func (c *cloud) database() *sql.DB {
	c.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(c.dir, "weft.db")+"?_pragma=query_only(1)&_pragma=busy_timeout(10000)")
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { db.Close() })
	return db
}

// rows runs a query and returns each row as text.
func rows(db *sql.DB, query string, args ...any) ([]string, error) {
	r, err := db.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	columns, err := r.Columns()
	if err != nil {
		return nil, err
	}
	var out []string
	for r.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := r.Scan(into...); err != nil {
			return nil, err
		}
		text := make([]string, len(columns))
		for i, v := range values {
			text[i] = fmt.Sprint(v)
		}
		out = append(out, strings.Join(text, " | "))
	}
	return out, r.Err()
}

// dump is every row of every table, by table. What the clock alone changes, the
// heartbeats of agents, is left out.
func dump(db *sql.DB) (map[string][]string, error) {
	tables, err := rows(db, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
	if err != nil {
		return nil, err
	}
	out := map[string][]string{}
	for _, table := range tables {
		query := "SELECT * FROM " + table
		switch table {
		case "agents":
			continue
		case "changes":
			query += " WHERE noun NOT LIKE 'agent%'"
		}
		if out[table], err = rows(db, query); err != nil {
			return nil, fmt.Errorf("%s: %w", table, err)
		}
	}
	return out, nil
}

// settled is the dump of a database in which nothing moves any more.
func (c *cloud) settled(db *sql.DB) map[string][]string {
	c.t.Helper()
	var last map[string][]string
	c.waitFor("the database to come to rest", func() bool {
		now, err := dump(db)
		if err != nil {
			c.t.Fatal(err)
		}
		same := last != nil && cmp.Equal(last, now)
		last = now
		if !same {
			time.Sleep(300 * time.Millisecond)
		}
		return same
	})
	return last
}
