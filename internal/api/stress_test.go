package api_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
	"github.com/weftnet/weft/internal/store/storetest"
)

var stressTime = flag.Duration("stress", 2*time.Second, "how long TestStress goes on, on each database")

const (
	stressClients  = 16
	stressProjects = 4
	stressQuota    = 40 // ports of a project
)

// TestStress has many clients make and delete ports, subnets, router interfaces and
// floating IPs on networks that they share, all at once. No answer is an error of the
// server's own, no address is given to two ports, no project has more than its quota,
// and when all is deleted nothing is left.
func TestStress(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStress(t, db)
		ctx, stop := time.Now().Add(*stressTime), sync.WaitGroup{}
		for i := range stressClients {
			stop.Go(func() { s.client(i).run(ctx) })
		}
		stop.Wait()
		if s.made.Load() == 0 || s.refused.Load() == 0 {
			t.Errorf("%d made, %d refused: nothing has been tried", s.made.Load(), s.refused.Load())
		}
		s.quotasAreExact()
		s.clear()
		s.nothingIsLeft()
		t.Logf("%d made, %d deleted, %d refused", s.made.Load(), s.deleted.Load(), s.refused.Load())
	})
}

// stress is the cloud and what the clients know of it together.
type stress struct {
	*world
	shared, external string   // networks
	own              []string // a network of each project

	mu      sync.Mutex
	holders map[string]string // ports by subnet and address

	made, deleted, refused atomic.Int64
}

func newStress(t *testing.T, db *store.DB) *stress {
	s := &stress{world: newWorld(t, db), holders: map[string]string{}}
	for i := range stressProjects {
		user := fmt.Sprintf("stress-%d", i)
		callers[user] = &weft.Caller{UserID: user, ProjectID: fmt.Sprintf("%032d", i), Roles: []string{"member", "reader"}}
	}
	s.shared = s.must("admin", "networks", `{"network":{"shared":true}}`)
	s.must("admin", "subnets", `{"subnet":{"network_id":"`+s.shared+`","ip_version":4,"cidr":"10.0.0.0/24"}}`) // narrow, so that it fills
	s.external = s.must("admin", "networks", `{"network":{"router:external":true}}`)
	s.must("admin", "subnets", `{"subnet":{"network_id":"`+s.external+`","ip_version":4,"cidr":"203.0.113.0/26"}}`)
	for i := range stressProjects {
		if rec := s.do("admin", "PUT", "/v2.0/quotas/"+callers[fmt.Sprintf("stress-%d", i)].ProjectID, fmt.Sprintf(`{"quota":{"port":%d}}`, stressQuota), nil); rec.Code != 200 {
			t.Fatal(rec.Body)
		}
		s.own = append(s.own, s.must(fmt.Sprintf("stress-%d", i), "networks", `{"network":{}}`))
	}
	return s
}

func (s *stress) must(user, path, body string) string {
	s.t.Helper()
	rec := s.do(user, "POST", "/v2.0/"+path, body, nil)
	if rec.Code != 201 {
		s.t.Fatalf("%s: %d %s", path, rec.Code, rec.Body)
	}
	return firstID(rec.Body.Bytes())
}

// stressClient is one of the clients; those of a project know only what they have
// made themselves.
type stressClient struct {
	*stress
	*rand.Rand
	user    string
	network string
	ports   map[string][]string // what the port holds, by id
	subnets []string
	routers []string
	joined  map[string]string // router of a subnet
	fips    []string
}

func (s *stress) client(i int) *stressClient {
	p := i % stressProjects
	return &stressClient{stress: s, Rand: rand.New(rand.NewPCG(uint64(i), 11)), user: fmt.Sprintf("stress-%d", p), network: s.own[p],
		ports: map[string][]string{}, joined: map[string]string{}}
}

func (c *stressClient) run(until time.Time) {
	for time.Now().Before(until) {
		switch c.IntN(12) {
		case 0, 1, 2:
			c.createPort()
		case 3, 4:
			c.deletePort()
		case 5:
			c.createSubnet()
		case 6:
			c.deleteSubnet()
		case 7:
			c.createRouter()
		case 8:
			c.join()
		case 9:
			c.leave()
		case 10:
			c.createFloatingIP()
		case 11:
			c.deleteFloatingIP()
		}
	}
}

// ask sends a request and is the body of the answer, nil if it is a refusal.
func (c *stressClient) ask(method, path, body string) []byte {
	rec := c.do(c.user, method, "/v2.0/"+path, body, nil)
	switch {
	case rec.Code >= 500:
		c.t.Errorf("%s %s %s: %d %s", method, path, body, rec.Code, rec.Body)
	case rec.Code >= 400:
		c.refused.Add(1)
		return nil
	case rec.Code == 201:
		c.made.Add(1)
	case rec.Code == 204:
		c.deleted.Add(1)
	}
	return append([]byte{' '}, rec.Body.Bytes()...)
}

func (c *stressClient) createPort() {
	network := pick(c.Rand, c.shared, c.shared, c.network)
	body := c.ask("POST", "ports", `{"port":{"network_id":"`+network+`"}}`)
	if body == nil {
		return
	}
	var doc struct{ Port weft.Port }
	if err := json.Unmarshal(body, &doc); err != nil {
		c.t.Error(err)
		return
	}
	var held []string
	for _, ip := range doc.Port.FixedIPs {
		held = append(held, ip.SubnetID+" "+ip.IPAddress.String())
	}
	c.ports[doc.Port.ID] = held
	c.hold(doc.Port.ID, held)
}

// hold notes who has which address, and that nobody else has it.
func (s *stress) hold(port string, addresses []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range addresses {
		if other := s.holders[a]; other != "" {
			s.t.Errorf("%s is given to %s while %s has it", a, port, other)
		}
		s.holders[a] = port
	}
}

// release forgets addresses before they are given back: afterwards another may have
// them already.
func (s *stress) release(addresses []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range addresses {
		delete(s.holders, a)
	}
}

func (c *stressClient) deletePort() {
	for id, held := range c.ports {
		c.release(held)
		if c.ask("DELETE", "ports/"+id, "") == nil {
			c.t.Errorf("port %s cannot be deleted", id)
		}
		delete(c.ports, id)
		return
	}
}

func (c *stressClient) createSubnet() {
	cidr := fmt.Sprintf("10.%d.%d.0/24", 1+c.IntN(3), c.IntN(8))
	if body := c.ask("POST", "subnets", `{"subnet":{"network_id":"`+c.network+`","ip_version":4,"cidr":"`+cidr+`"}}`); body != nil {
		c.subnets = append(c.subnets, firstID(body))
	}
}

func (c *stressClient) deleteSubnet() {
	if len(c.subnets) == 0 {
		return
	}
	i := c.IntN(len(c.subnets))
	if id := c.subnets[i]; c.ask("DELETE", "subnets/"+id, "") != nil {
		c.subnets = append(c.subnets[:i], c.subnets[i+1:]...)
		delete(c.joined, id)
	}
}

func (c *stressClient) createRouter() {
	if len(c.routers) > 0 && c.IntN(2) == 0 {
		i := c.IntN(len(c.routers))
		if c.ask("DELETE", "routers/"+c.routers[i], "") != nil {
			c.routers = append(c.routers[:i], c.routers[i+1:]...)
		}
		return
	}
	if body := c.ask("POST", "routers", `{"router":{"external_gateway_info":{"network_id":"`+c.external+`"}}}`); body != nil {
		c.routers = append(c.routers, firstID(body))
	}
}

func (c *stressClient) join() {
	if len(c.routers) == 0 || len(c.subnets) == 0 {
		return
	}
	r, sn := c.routers[c.IntN(len(c.routers))], c.subnets[c.IntN(len(c.subnets))]
	if c.ask("PUT", "routers/"+r+"/add_router_interface", `{"subnet_id":"`+sn+`"}`) != nil {
		c.joined[sn] = r
	}
}

func (c *stressClient) leave() {
	for sn, r := range c.joined {
		if c.ask("PUT", "routers/"+r+"/remove_router_interface", `{"subnet_id":"`+sn+`"}`) != nil {
			delete(c.joined, sn)
		}
		return
	}
}

func (c *stressClient) createFloatingIP() {
	body := `{"floatingip":{"floating_network_id":"` + c.external + `"}}`
	if c.IntN(2) == 0 {
		for id := range c.ports {
			body = `{"floatingip":{"floating_network_id":"` + c.external + `","port_id":"` + id + `"}}`
			break
		}
	}
	if out := c.ask("POST", "floatingips", body); out != nil {
		c.fips = append(c.fips, firstID(out))
	}
}

func (c *stressClient) deleteFloatingIP() {
	if len(c.fips) == 0 {
		return
	}
	i := c.IntN(len(c.fips))
	if c.ask("DELETE", "floatingips/"+c.fips[i], "") == nil {
		c.t.Errorf("floating IP %s cannot be deleted", c.fips[i])
	}
	c.fips = append(c.fips[:i], c.fips[i+1:]...)
}

// quotasAreExact holds what is used to what there is, and tries the last port that a
// project may have, and one more.
func (s *stress) quotasAreExact() {
	s.t.Helper()
	for i := range stressProjects {
		user := fmt.Sprintf("stress-%d", i)
		var details struct {
			Quota map[string]struct{ Used, Limit int }
		}
		s.read(user, "quotas/"+callers[user].ProjectID+"/details", &details)
		for noun, path := range map[string]string{"port": "ports", "subnet": "subnets", "router": "routers", "floatingip": "floatingips", "network": "networks"} {
			var list map[string][]struct{ ID string }
			s.read(user, path+"?fields=id&project_id="+callers[user].ProjectID, &list)
			if got := details.Quota[noun]; got.Used != len(list[path]) {
				s.t.Errorf("%s: %d %s are counted, %d are there", user, got.Used, path, len(list[path]))
			}
		}
		left := stressQuota - details.Quota["port"].Used
		for n := range max(left, 0) + 1 {
			rec := s.do(user, "POST", "/v2.0/ports", `{"port":{"network_id":"`+s.own[i]+`","fixed_ips":[]}}`, nil)
			if want := map[bool]int{true: 201, false: 409}[n < left]; rec.Code != want {
				s.t.Errorf("%s: port %d beyond those that were left: %d %s", user, n-left+1, rec.Code, rec.Body)
			}
		}
	}
}

func (s *stress) read(user, path string, into any) {
	s.t.Helper()
	rec := s.do(user, "GET", "/v2.0/"+path, "", nil)
	if err := json.Unmarshal(rec.Body.Bytes(), into); err != nil || rec.Code != 200 {
		s.t.Fatalf("%s: %d %v", path, rec.Code, err)
	}
}

// clear deletes all networks with what is on them, and the routers.
func (s *stress) clear() {
	s.t.Helper()
	for _, path := range []string{"networks", "routers"} {
		var list map[string][]struct{ ID string }
		s.read("admin", path+"?fields=id", &list)
		for _, v := range list[path] {
			if rec := s.do("admin", "DELETE", "/v2.0/"+path+"/"+v.ID+"?cascade=true", "", nil); rec.Code != 204 {
				s.t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
			}
		}
	}
}

func (s *stress) nothingIsLeft() {
	s.t.Helper()
	tx := s.db.Read(s.t.Context(), nil)
	for _, table := range []string{"networks", "segments", "subnets", "ports", "ip_allocations", "port_security_groups", "routers", "floatingips"} {
		n := 0
		if _, err := tx.QueryRow("SELECT COUNT(*) FROM "+table, nil, &n); err != nil || n != 0 {
			s.t.Errorf("%d rows are left in %s %v", n, table, err)
		}
	}
	left, err := tx.IDs("SELECT project_id || ' ' || resource FROM quota_usage WHERE used <> 0 AND resource NOT LIKE 'security_group%'")
	if err != nil || len(left) > 0 {
		s.t.Errorf("still counted: %v %v", left, err)
	}
}
