package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/dataplane/netns"
)

// TestMetadata has an instance on a shared network ask who it is, with another
// project's router beside the gateway and with a router that comes later; and another
// project's machines ask under its address, by every way there is.
func TestMetadata(t *testing.T) { onHost(t, testMetadata, "ip", "bridge", "nft") }

func testMetadata(t *testing.T) {
	c := newCloud(t)
	c.verbose = true
	c.start()
	owner, thief := c.connect("weft"), c.connect("weft-demo")
	put := func(id, what, port string) {
		if err := thief.Put(t.Context(), "routers/"+id+"/"+what, map[string]string{"port_id": port}, nil); err != nil {
			t.Fatal(err)
		}
	}
	shared := create[weft.Network](c, owner, "networks", "network", map[string]any{"name": "shared", "shared": true})
	subnet := create[weft.Subnet](c, owner, "subnets", "subnet",
		map[string]any{"network_id": shared.ID, "ip_version": 4, "cidr": "10.1.0.0/24"})
	victim := create[weft.Port](c, owner, "ports", "port",
		map[string]any{"network_id": shared.ID, "device_id": "victim", "device_owner": "compute:nova"})
	c.must("plug", "--port", victim.ID, "--netns", "victim")
	address := victim.FixedIPs[0].IPAddress.String()
	told := func(when, ns string, want string) {
		t.Helper()
		if got := askMetadata(ns, ""); got != want {
			t.Errorf("%s: %s is told of %q, want %q", when, ns, got, want)
		}
	}
	told("alone", "victim", "victim")

	// Another project's router in the network, not as its gateway.
	mine := create[weft.Network](c, thief, "networks", "network", map[string]any{"name": "mine", "port_security_enabled": false})
	inner := create[weft.Subnet](c, thief, "subnets", "subnet",
		map[string]any{"network_id": mine.ID, "ip_version": 4, "cidr": "10.9.0.0/24"})
	router := create[weft.Router](c, thief, "routers", "router", map[string]any{"name": "r"})
	if err := thief.Put(t.Context(), "routers/"+router.ID+"/add_router_interface", map[string]string{"subnet_id": inner.ID},
		nil); err != nil {
		t.Fatal(err)
	}
	beside := create[weft.Port](c, thief, "ports", "port", map[string]any{"network_id": shared.ID})
	put(router.ID, "add_router_interface", beside.ID)
	machine := create[weft.Port](c, thief, "ports", "port",
		map[string]any{"network_id": mine.ID, "device_id": "victim", "device_owner": "compute:nova"})
	c.must("plug", "--port", machine.ID, "--netns", "machine")
	if err := thief.Put(t.Context(), "routers/"+router.ID+"/add_extraroutes", map[string]any{"router": map[string]any{
		"routes": []map[string]string{{"destination": address + "/32",
			"nexthop": machine.FixedIPs[0].IPAddress.String()}}}}, nil); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"addr add " + address + "/32 dev lo", "route add 10.1.0.0/24 via 10.9.0.1"} {
		if _, err := outputIn("machine", "ip "+command); err != nil {
			t.Fatal(err)
		}
	}
	c.waitFor("the route to the thief's machine", func() bool {
		out, err := outputIn("qrouter-"+router.ID, "ip route")
		return err == nil && strings.Contains(out, address)
	})
	told("beside another's router", "victim", "victim")
	told("behind its own router", "machine", "victim") // its own project's, of that name
	if got := askMetadataAll("machine", "", "/openstack/latest/meta_data.json")["project_id"]; got != thief.Project {
		t.Errorf("the thief is told of project %q", got)
	}
	if got := askMetadata("machine", address); got != "" {
		t.Errorf("the thief is told of %q under the victim's address", got)
	}
	// One that gets its lease now is sent the way that works.
	later := create[weft.Port](c, owner, "ports", "port", map[string]any{"network_id": shared.ID, "device_id": "later",
		"device_owner": "compute:nova"})
	c.must("plug", "--port", later.ID, "--netns", "later")
	told("beside another's router, from the beginning", "later", "later")

	// The owner's machine on the network itself, which may send under any address.
	free := create[weft.Port](c, owner, "ports", "port", map[string]any{"network_id": shared.ID, "device_id": "free",
		"port_security_enabled": false})
	c.must("plug", "--port", free.ID, "--netns", "free")
	told("without port security", "free", "free")
	if _, err := outputIn("free", "ip addr add "+address+"/32 dev lo"); err != nil {
		t.Fatal(err)
	}
	if got := askMetadata("free", address); got != "" {
		t.Errorf("a neighbour is told of %q under the victim's address", got)
	}

	// A router comes as the gateway: who has a lease of before and who has one of
	// after are told, also by a weft that was started again.
	gateway := create[weft.Router](c, owner, "routers", "router", map[string]any{"name": "gateway"})
	if err := owner.Put(t.Context(), "routers/"+gateway.ID+"/add_router_interface", map[string]string{"subnet_id": subnet.ID},
		nil); err != nil {
		t.Fatal(err)
	}
	after := create[weft.Port](c, owner, "ports", "port", map[string]any{"network_id": shared.ID, "device_id": "after",
		"device_owner": "compute:nova"})
	c.must("plug", "--port", after.ID, "--netns", "after")
	if out, err := outputIn("after", "ip route get 169.254.169.254"); err != nil || !strings.Contains(out, "via 10.1.0.1 ") {
		t.Errorf("after the router has come the way is %q, %v", out, err)
	}
	for _, when := range []string{"after a router has come", "after a restart"} {
		told(when, "victim", "victim")
		told(when, "after", "after")
		if got := askMetadata("machine", address); got != "" {
			t.Errorf("%s: the thief is told of %q", when, got)
		}
		passes := c.passes()
		c.stop()
		c.start()
		c.waitFor("a full pass after the restart", func() bool { return c.passes() > passes })
	}
}

// askMetadata is the instance that one is told to be who asks from a namespace, maybe
// under an address; empty if there is no answer.
func askMetadata(ns, from string) string {
	id, _ := askMetadataAll(ns, from, "/openstack/latest/meta_data.json")["uuid"].(string)
	return id
}

func askMetadataAll(ns, from, path string) map[string]any {
	dial := func(ctx context.Context, network, addr string) (conn net.Conn, err error) {
		d := net.Dialer{Timeout: 2 * time.Second}
		if from != "" {
			d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
		}
		err = netns.Do(ns, func() error {
			conn, err = d.DialContext(ctx, network, addr)
			return err
		})
		return conn, err
	}
	h := http.Client{Timeout: hang, Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	req, err := http.NewRequest("GET", "http://169.254.169.254"+path, nil)
	if err != nil {
		return nil
	}
	req.Header.Set("X-Forwarded-For", "10.1.0.3")
	req.Header.Set("X-Instance-ID", "victim")
	resp, err := h.Do(req)
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	out := map[string]any{}
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		out["uuid"] = fmt.Sprint(resp.Status)
	}
	return out
}
