package api_test

import (
	"net/http"
	"net/http/httptest"
	"runtime"
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
		g.next += 1 << 20
		n := inUse()
		g.most = max(g.most, n)
		if g.least == 0 || n < g.least {
			g.least = n
		}
	}
	return len(b), nil
}

// inUse returns how much memory is in use once it no longer grows: who makes the list
// goes on meanwhile, and what it throws away while the collector runs would count.
func inUse() int {
	for last, tries := 0, 0; ; tries++ {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		n := int(m.HeapAlloc)
		if n-last < 256<<10 && last-n < 256<<10 || tries == 100 {
			return n
		}
		last = n
	}
}

// A list takes no more memory than is kept of it for slow clients.
func TestListsAreFlat(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.heavy(t, 1000)
		for _, query := range []string{"", "?sort_key=name&sort_dir=desc", "?fields=id&fields=extra_dhcp_opts"} {
			g := &gauge{ResponseWriter: httptest.NewRecorder()}
			rq := httptest.NewRequest("GET", "http://net:9696/v2.0/ports"+query, nil)
			rq.Header.Set("X-Auth-Token", "alice")
			w.api.ServeHTTP(g, rq)
			if g.read < 10<<20 {
				t.Fatalf("%q: only %d bytes", query, g.read)
			}
			if grown := g.most - g.least; grown > g.read*2/3 {
				t.Errorf("%q: %d bytes more in use for a list of %d bytes", query, grown, g.read)
			}
		}
	})
}
