package e2e

import (
	"testing"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/client"
)

// TestDHCPPortComesBack deletes the port of a network's DHCP service, which goes on
// all the same.
func TestDHCPPortComesBack(t *testing.T) { onHost(t, testDHCPPortComesBack, "ip", "bridge", "nft") }

func testDHCPPortComesBack(t *testing.T) {
	c := newCloud(t)
	c.start()
	s := buildSmall(c)
	served := func() *weft.Port {
		ports, err := client.List[weft.Port](t.Context(), s.client, "ports",
			"device_owner=network:dhcp&status=ACTIVE&network_id="+s.networks[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		if len(ports) == 0 {
			return nil
		}
		return ports[0]
	}
	c.waitFor("the DHCP port", func() bool { return served() != nil })
	old := served()
	if err := s.client.Delete(t.Context(), "ports", old.ID); err != nil {
		t.Fatal(err)
	}
	c.waitFor("another DHCP port", func() bool { return served() != nil })
	fresh := served()
	if fresh.ID == old.ID || fresh.DeviceID != old.DeviceID || fresh.FixedIPs[0] != old.FixedIPs[0] {
		t.Errorf("the port was %+v, and came back as %+v", old, fresh)
	}
	s.plug(c, "d", 0) // gets its lease
}
