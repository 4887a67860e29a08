// Package api speaks the OpenStack Networking API v2.0. Each noun is declared
// once, as a Resource with one row per attribute; decoding, validation, defaults,
// policy, filters, sorting, fields, pagination and rendering follow from the
// table. What a request means is not decided here: a Resource names the service
// functions that create, update and delete its noun inside one transaction.
package api
