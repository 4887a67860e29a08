package api_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/weftnet/weft/internal/store"
	"github.com/weftnet/weft/internal/store/storetest"
)

// gauge is a client that looks, now and then while a list arrives, how much memory
// is in use.
type gauge struct {
	http.ResponseWriter
	read, next, least, most int
}

func (g *gauge) Write(b []byte) (int, error) {
	g.read += len(b)
	if g.read >= g.next {
		g.next += 256 << 10
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		g.most = max(g.most, int(m.HeapAlloc))
		if g.least == 0 || int(m.HeapAlloc) < g.least {
			g.least = int(m.HeapAlloc)
		}
	}
	return len(b), nil
}

// A list takes no more memory at its end than at its beginning.
func TestListsAreFlat(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.make(t, "admin", "quotas/"+projectA, "")
		network := w.make(t, "alice", "networks", `{"network":{"name":"n"}}`)
		ports := make([]string, 250)
		for i := range ports {
			ports[i] = fmt.Sprintf(`{"network_id":%q,"description":%q}`, network, strings.Repeat("d", 255))
		}
		for range 12 {
			w.make(t, "alice", "ports", `{"ports":[`+strings.Join(ports, ",")+`]}`)
		}
		for _, query := range []string{"", "?sort_key=name&sort_dir=desc", "?fields=id&fields=description"} {
			g := &gauge{ResponseWriter: httptest.NewRecorder()}
			rq := httptest.NewRequest("GET", "http://net:9696/v2.0/ports"+query, nil)
			rq.Header.Set("X-Auth-Token", "alice")
			w.api.ServeHTTP(g, rq)
			if g.read < 800<<10 {
				t.Fatalf("%q: only %d bytes", query, g.read)
			}
			if grown := g.most - g.least; grown > g.read/4 {
				t.Errorf("%q: %d bytes more in use for a list of %d bytes", query, grown, g.read)
			}
		}
	})
}
