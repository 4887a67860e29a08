package api_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weftnet/weft/internal/api"
	"github.com/weftnet/weft/internal/body"
	"github.com/weftnet/weft/internal/store"
	"github.com/weftnet/weft/internal/store/storetest"
)

// worst are bodies of some size that cost the most of their kind to decode.
func worst(size int) map[string]string {
	fill := func(before, unit, after string) string {
		n := (size - len(before) - len(after)) / len(unit)
		return before + strings.TrimSuffix(strings.Repeat(unit, n), ",") + after
	}
	n := 0
	keys := func(value string) string { // all different
		var b strings.Builder
		for b.WriteString(`{"network":{"a":0`); b.Len() < size-100; n++ {
			fmt.Fprintf(&b, `,"%x":%s`, n, value)
		}
		return b.String() + "}}"
	}
	return map[string]string{
		"empty objects":    fill(`{"networks":[`, `{},`, `]}`),
		"small objects":    fill(`{"networks":[`, `{"a":1},`, `]}`),
		"networks":         fill(`{"networks":[`, `{"name":""},`, `]}`),
		"long networks":    fill(`{"networks":[`, `{"name":"`+strings.Repeat("n", 90)+`"},`, `]}`),
		"numbers":          fill(`{"network":{"name":[`, `1,`, `]}}`),
		"empty lists":      fill(`{"network":{"name":[`, `[],`, `]}}`),
		"nested":           fill(`{"network":{"name":`, `[`, ``),
		"nested objects":   fill(``, `{"network":`, ``),
		"a long text":      fill(`{"network":{"name":"`, `x`, `"}}`),
		"escapes":          fill(`{"network":{"name":"`, `\u00e9`, `"}}`),
		"quotes":           fill(`{"network":{"name":"`, `\"`, `"}}`),
		"a long number":    fill(`{"network":{"mtu":`, `9`, `}}`),
		"keys":             keys("1"),
		"keys of texts":    keys(`"xxxxxxxxxxxxxxx"`),
		"the same key":     fill(`{"network":{"a":1`, `,"a":{}`, `}}`),
		"the same list":    fill(`{"a":1`, `,"networks":[{}]`, `}`),
		"a long key":       fill(`{"network":{"`, `k`, `":1}}`),
		"tags":             fill(`{"network":{"tags":[`, `"",`, `]}}`),
		"no JSON":          fill(``, `,`, ``),
		"unfinished texts": fill(`{"network":{"name":`, `"`, ``),
	}
}

// allocated is what is allocated while f runs.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// A request costs memory in proportion to its body, whatever is in it, and one that
// policy refuses no more than its text.
func TestBodiesCost(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	for size, times := range map[int]uint64{1 << 20: 24, 64 << 10: 60} {
		for name, text := range worst(size) {
			for _, c := range []struct {
				user, method, path string
				times              uint64
			}{
				{"alice", "POST", "networks", times}, {"alice", "PUT", "networks/" + absent, times},
				{"rob", "POST", "networks", 2}, {"rob", "PUT", "networks/" + absent, 2}, {"rob", "PUT", "networks/" + absent + "/tags", 2},
			} {
				var code, answer int
				used := allocated(func() {
					rec := w.do(c.user, c.method, "/v2.0/"+c.path, text, nil)
					code, answer = rec.Code, rec.Body.Len()
				})
				if most := c.times*uint64(len(text)) + 100<<10; used > most {
					t.Errorf("%s: %s %s %s of %d: %d bytes used, more than %d", name, c.user, c.method, c.path, len(text), used, most)
				}
				if code < 400 || code == 500 || c.user == "rob" && code != 403 {
					t.Errorf("%s: %s %s %s of %d: %d", name, c.user, c.method, c.path, len(text), code)
				}
				if answer > 2000 {
					t.Errorf("%s: %s %s %s of %d: an answer of %d bytes", name, c.user, c.method, c.path, len(text), answer)
				}
			}
		}
	}
}

// However many large requests there are at once, they take a bounded memory.
func TestBodiesTogether(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	var peak uint64
	done := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
			select {
			case <-done:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	text := worst(1 << 20)["long networks"]
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() { w.do("alice", "PUT", "/v2.0/networks/"+absent, text, nil) })
	}
	all.Wait()
	close(done)
	<-watched
	if peak > 256<<20 {
		t.Errorf("%d MB at once", peak>>20)
	}
}

// What creates too much at once is refused before anything of it is made.
func TestBulkLimit(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	most := body.Defaults().Items
	many := func(n int) string {
		return `{"networks":[` + strings.TrimSuffix(strings.Repeat(`{"name":"n"},`, n), ",") + `]}`
	}
	w.expect(t, "alice", "POST", "networks", many(most+1), 413, "HTTPRequestEntityTooLarge", "at most 1000 can be created at once")
	w.expect(t, "alice", "POST", "networks", many(most), 409, "OverQuota", "")
	w.expect(t, "rob", "POST", "networks", many(most+1), 413, "", "")
	w.expect(t, "rob", "POST", "networks", many(10), 403, "PolicyNotAuthorized", "")
	w.expect(t, "rob", "POST", "networks", worst(15 << 19)["empty objects"], 403, "PolicyNotAuthorized", "")
	w.expect(t, "alice", "POST", "networks", worst(15 << 19)["empty objects"], 413, "HTTPRequestEntityTooLarge",
		"Request is too large.")
}

func (w *world) expect(t *testing.T, user, method, path, text string, code int, parts ...string) {
	t.Helper()
	rec := w.do(user, method, "/v2.0/"+path, text, nil)
	if rec.Code != code || code >= 400 && rec.Body.Len() > 2000 {
		t.Errorf("%s %s %s of %d bytes: %d %.300s, not %d", user, method, path, len(text), rec.Code, rec.Body, code)
	}
	for _, part := range parts {
		if !strings.Contains(rec.Body.String(), part) {
			t.Errorf("%s %s %s of %d bytes: %.300s has no %q", user, method, path, len(text), rec.Body, part)
		}
	}
}

// Lists of every attribute that takes any, one longer than it takes, are refused in few
// words, and nobody is kept waiting.
func TestLongLists(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		network := w.make(t, "alice", "networks", `{"network":{"name":"n"}}`)
		port := w.make(t, "alice", "ports", `{"port":{"network_id":"`+network+`"}}`)
		ids := func(n int) string {
			var list []string
			for i := range n {
				list = append(list, fmt.Sprintf(`"00000000-0000-4000-8000-%012x"`, i))
			}
			return "[" + strings.Join(list, ",") + "]"
		}
		tables := api.NewServer(api.Config{})
		testCloud().Register(tables)
		for _, n := range api.Nouns(tables) {
			for _, a := range n.Attrs {
				most, limited := a.Schema["maxItems"].(int)
				if !limited || n.Within != "" {
					continue
				}
				text := fmt.Sprintf(`{%q:{%q:%s}}`, n.Singular, a.Name, ids(most+1))
				for method, path := range map[string]string{"POST": n.Path, "PUT": n.Path + "/" + absent} {
					if rec := w.do("admin", method, "/v2.0/"+path, text, nil); rec.Code < 400 || rec.Code >= 500 || rec.Body.Len() > 2000 {
						t.Errorf("%s %s, %d of %s: %d %.200s", method, path, most+1, a.Name, rec.Code, rec.Body)
					}
				}
			}
		}
		w.expect(t, "alice", "PUT", "ports/"+port, `{"port":{"security_groups":`+ids(20000)+`}}`, 400, "security_groups",
			"exceeds maximum length of 1000")
		w.expect(t, "alice", "PUT", "ports/"+port, `{"port":{"security_groups":`+ids(1000)+`}}`, 404, "SecurityGroupNotFound")
		w.expect(t, "alice", "PUT", "ports/"+port, `{"port":{"description":"`+strings.Repeat("d", 900<<10)+`"}}`, 400,
			"exceeds maximum length of 255")
		w.expect(t, "alice", "PUT", "ports/"+port, `{"port":{"description":"`+strings.Repeat("d", 6<<20)+`"}}`, 413)
		w.expect(t, "alice", "PUT", "networks/"+network+"/tags", `{"tags":`+ids(51)+`}`, 400,
			"Bad network request: The number of tags exceed the per-resource limit of 50.")
		w.expect(t, "alice", "PUT", "networks/"+network+"/tags", `{"tags":`+ids(50)+`}`, 200)
		w.expect(t, "alice", "PUT", "networks/"+network+"/tags/one", ``, 400, "per-resource limit of 50")
		w.expect(t, "alice", "POST", "networks/"+network+"/tags", `{"tags":["one"]}`, 400, "per-resource limit of 50")
		w.expect(t, "alice", "POST", "networks/"+network+"/tags", `{"tags":`+ids(50)+`}`, 200)
		w.expect(t, "alice", "POST", "ports", `{"port":{"network_id":"`+network+`","tags":`+ids(51)+`}}`, 400, "tags")
		options := func(letter string) string {
			return `{"port":{"extra_dhcp_opts":[` + strings.TrimSuffix(strings.Repeat(`{"opt_name":"`+letter+`","opt_value":"1"},`,
				512), ",") + `]}}`
		}
		w.expect(t, "alice", "PUT", "ports/"+port, options("a"), 200)
		w.expect(t, "alice", "PUT", "ports/"+port, options("a"), 200) // in the place of the others
		w.expect(t, "alice", "PUT", "ports/"+port, options("b"), 400, "exceeds maximum length of 512")
	})
}
