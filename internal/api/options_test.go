package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/weftnet/weft/internal/store"
	"github.com/weftnet/weft/internal/store/storetest"
)

// A PUT adds DHCP options to those a port has. All together are no more than a list may
// name.
func TestOptionsAddUp(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		port := w.make(t, "alice", "ports", `{"port":{"network_id":"`+w.make(t, "alice", "networks", `{"network":{}}`)+`"}}`)
		put := func(from, n, want int) {
			t.Helper()
			var opts []string
			for i := range n {
				opts = append(opts, fmt.Sprintf(`{"opt_name":"o%d","opt_value":"x"}`, from+i))
			}
			rec := w.do("alice", "PUT", "/v2.0/ports/"+port, `{"port":{"extra_dhcp_opts":[`+strings.Join(opts, ",")+`]}}`, nil)
			if rec.Code != want {
				t.Fatalf("%d options more: %d %s", n, rec.Code, rec.Body)
			}
		}
		put(0, 300, http.StatusOK)
		put(300, 213, http.StatusBadRequest)
		put(300, 212, http.StatusOK)
		put(0, 512, http.StatusOK) // others of the same names
		put(512, 1, http.StatusBadRequest)
	})
}
