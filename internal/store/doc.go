// Package store keeps the nouns in a database: SQLite inside the process, or a
// PostgreSQL that several servers share. It is the only package with SQL in it.
//
// Every noun has one table. The row is the noun's document (the JSON the API
// shows) plus one column per attribute that is filtered, sorted or unique; the
// columns are derived from the noun by its Table, so the two cannot part ways.
// Attributes that depend on other rows or on who asks (the subnets of a network,
// whether it is shared with the caller) are SQL expressions, so that a list stays
// one query.
//
// All writes go through DB.Update, which runs one writer at a time on either
// engine, and through Table.Insert, Update and Delete, which append to the change
// log in the same transaction. One writer at a time makes a check and the write
// that relies on it one step, and makes the order of the log the order in which
// its entries become visible: see docs/decisions/0003-one-writer.md.
package store
