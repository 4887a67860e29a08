package api

import "net/http"

// ListsReading is how many lists hold a place at the database.
func ListsReading(h http.Handler) int {
	inside, _ := h.(*Server).lists.State()
	return inside
}
