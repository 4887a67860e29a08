package api_test

import (
	"fmt"
	"testing"

	"github.com/weftnet/weft/internal/store/storetest"
)

// crowd is a world with a network of n ports.
func crowd(b *testing.B, n int) (w *world, network, port string) {
	b.Helper()
	w = newWorld(b, storetest.SQLite(b))
	w.make(b, "admin", "quotas/"+projectA, "")
	network = w.make(b, "alice", "networks", `{"network":{"name":"n"}}`)
	w.make(b, "alice", "subnets", `{"subnet":{"network_id":"`+network+`","ip_version":4,"cidr":"10.0.0.0/8"}}`)
	for range n {
		port = w.make(b, "alice", "ports", `{"port":{"network_id":"`+network+`"}}`)
	}
	return w, network, port
}

// make creates something and returns its id.
func (w *world) make(b testing.TB, user, path, body string) string {
	b.Helper()
	method := "POST"
	if body == "" {
		method, body = "PUT", `{"quota":{"port":-1,"network":-1,"router":-1,"rbac_policy":-1}}`
	}
	rec := w.do(user, method, "/v2.0/"+path, body, nil)
	if rec.Code >= 300 {
		b.Fatalf("%s: %d %s", path, rec.Code, rec.Body)
	}
	return firstID(rec.Body.Bytes())
}

func (w *world) get(b testing.TB, user, path string) {
	b.Helper()
	if rec := w.do(user, "GET", "/v2.0/"+path, "", nil); rec.Code != 200 {
		b.Fatalf("%s: %d %s", path, rec.Code, rec.Body)
	}
}

func BenchmarkPorts(b *testing.B) {
	w, network, port := crowd(b, 1000)
	for _, user := range []string{"admin", "alice"} {
		b.Run("show/"+user, func(b *testing.B) {
			for b.Loop() {
				w.get(b, user, "ports/"+port)
			}
		})
		b.Run("list1000/"+user, func(b *testing.B) {
			for b.Loop() {
				w.get(b, user, "ports")
			}
		})
		b.Run("create/"+user, func(b *testing.B) {
			for b.Loop() {
				w.make(b, user, "ports", `{"port":{"network_id":"`+network+`"}}`)
			}
		})
	}
}

func BenchmarkCreate(b *testing.B) {
	w := newWorld(b, storetest.SQLite(b))
	w.make(b, "admin", "quotas/"+projectA, "")
	for _, noun := range []string{"network", "router"} {
		b.Run(noun, func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				w.make(b, "alice", noun+"s", fmt.Sprintf(`{%q:{"name":"n%d"}}`, noun, i))
			}
		})
	}
}
