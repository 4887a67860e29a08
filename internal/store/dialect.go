package store

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
	"sync"
)

// dialect is what differs between the engines.
type dialect interface {
	name() string
	placeholders(text string) string // ? to the engine's form
	begin() string
	lockWriter(tx *Tx) error // keeps other writers, of any process, out until commit
	notify(tx *Tx) error     // tells other processes at commit
	listen(ctx context.Context, db *DB)
	viewOptions() *sql.TxOptions
	giveBack(ctx context.Context, db *DB) error // space of rows that are gone, to the file system
	ddl(text string) string                     // schema text to the engine's types
	away(err error) bool                        // an error that may pass: clients are to try again
	comes(err error) bool                       // one that is worth waiting for when the server starts
	shared() bool                               // by several servers
	tableNamed() string                         // a query for the name of the table named so
	// unhurried is a connection of its own for work that takes as long as it takes.
	unhurried(ctx context.Context, db *DB) (*sql.Conn, error)
}

// dollars rewrites ? to $1, $2, ... and remembers the texts. A ? inside a string
// literal is not supported; no statement here has one.
type dollars struct{ cache sync.Map }

func (d *dollars) rewrite(text string) string {
	if s, ok := d.cache.Load(text); ok {
		return s.(string)
	}
	var b strings.Builder
	n := 0
	for _, r := range text {
		if r != '?' {
			b.WriteRune(r)
			continue
		}
		n++
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(n))
	}
	if len(text) < 2000 {
		d.cache.Store(text, b.String())
	}
	return b.String()
}
