package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/weftnet/weft/internal/store"
	"github.com/weftnet/weft/internal/store/storetest"
)

// What a URL or a header can hold too much of is refused or answered, never an error
// of the server's own.
func TestLimits(t *testing.T) {
	many := func(s string, n int) string { return strings.TrimSuffix(strings.Repeat(s, n), s[len(s)-1:]) }
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.make(t, "alice", "networks", `{"network":{"name":"n"}}`)
		for _, c := range []struct {
			name, query string
			status      int
		}{
			{"too long", "?name=" + strings.Repeat("n", 20<<10), 414},
			{"one tag, often", "?tags=" + many("a,", 8000), 200},
			{"many tags", "?tags=" + many("a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u,v,", 350), 200},
			{"many tags, any", "?not-tags-any=" + many("a,b,c,d,e,f,g,h,", 900), 200},
			{"one sort key, often", "?limit=1&" + many("sort_key=name&sort_dir=asc&", 500), 200},
			{"one field, often", "?" + many("fields=shared&", 1000), 200},
			{"many ids", "?" + many("id=x&", 3000), 200},
		} {
			if rec := w.do("alice", "GET", "/v2.0/networks"+c.query, "", nil); rec.Code != c.status {
				t.Errorf("%s: %d %.200s", c.name, rec.Code, rec.Body)
			}
		}
		if rec := w.do("alice", "GET", "/v2.0/ports?"+many("fixed_ips=ip_address_substr%3D1&", 500), "", nil); rec.Code != 200 {
			t.Errorf("many parts of addresses: %d %.200s", rec.Code, rec.Body)
		}
		rec := w.do("alice", "POST", "/v2.0/networks", `{"network":{}}`, http.Header{"Idempotency-Key": {"\xff\xfe"}})
		if rec.Code != 400 {
			t.Errorf("a key that is no text: %d %.200s", rec.Code, rec.Body)
		}
	})
}
