package e2e

import (
	"context"
	"net"
	"os"
	"os/exec"
	"testing"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/client"
	"github.com/weftnet/weft/internal/host"
	"github.com/weftnet/weft/internal/needs"
)

// osVIF is what nova-compute does by os-vif, in one process and without a second one for
// the rights of root.
const osVIF = `
import sys, os_vif
from oslo_concurrency import lockutils
from os_vif.objects import instance_info, network, vif
from vif_plug_linux_bridge import privsep
what, net, bridge, port, tap, mac, locks = sys.argv[1:]
lockutils.set_defaults(locks)
privsep.vif_plug.set_client_mode(False)
os_vif.initialize()
net = network.Network(id=net, bridge=bridge, should_provide_bridge=True, should_provide_vlan=False, multi_host=False,
    mtu=1450, bridge_interface=None)
getattr(os_vif, what)(
    vif.VIFBridge(id=port, address=mac, network=net, vif_name=tap, bridge_name=bridge, has_traffic_filtering=True,
        plugin='linux_bridge'),
    instance_info.InstanceInfo(uuid=port, name='instance-00000001'))
`

// TestOSVIF plugs ports as nova-compute does, with the os-vif of Debian, and with ip in
// the place of libvirt.
func TestOSVIF(t *testing.T) {
	if exec.Command("/usr/bin/python3", "-c", "import vif_plug_linux_bridge").Run() != nil {
		needs.Missing(t, "needs python3-os-vif")
	}
	onHost(t, testOSVIF, "ip", "bridge", "nft")
}

func testOSVIF(t *testing.T) {
	c := newCloud(t)
	c.start()
	cl := c.connect("weft")
	n := create[weft.Network](c, cl, "networks", "network", map[string]any{"name": "n"})
	create[weft.Subnet](c, cl, "subnets", "subnet", map[string]any{"network_id": n.ID, "cidr": "10.3.0.0/24", "ip_version": 4})
	p := create[weft.Port](c, cl, "ports", "port", map[string]any{"network_id": n.ID, "device_owner": "compute:nova",
		"device_id": "vm"})
	bridge, tap := host.BridgeName(n.ID), host.TapName(p.ID)
	vif := func(what string) {
		t.Helper()
		out, err := exec.Command("/usr/bin/python3", "-c", osVIF, what, n.ID, bridge, p.ID, tap, p.MAC.String(),
			t.TempDir()).CombinedOutput()
		if err != nil {
			t.Fatalf("os-vif: %s: %v\n%s", what, err, out)
		}
	}
	libvirt := func() {
		t.Helper()
		ip(t, "tuntap", "add", tap, "mode", "tap")
		ip(t, "link", "set", tap, "master", bridge)
		ip(t, "link", "set", tap, "up")
	}
	becomes := func(status string) {
		t.Helper()
		c.waitFor("the port to be "+status, func() bool {
			got, err := client.Get[weft.Port](t.Context(), cl, "ports", "port", p.ID)
			return err == nil && got.Status == status
		})
	}
	bind := func(name string) {
		t.Helper()
		_, err := client.Update[weft.Port](context.Background(), cl, "ports", "port", p.ID, map[string]any{"binding:host_id": name})
		if err != nil {
			t.Fatal(err)
		}
	}
	vif("plug") // before weft knows of the port: the bridge is os-vif's
	libvirt()
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	bind(name)
	becomes("ACTIVE")
	for range 3 { // hard reboot: the tap comes anew at once
		ip(t, "link", "delete", tap)
		vif("plug")
		libvirt()
		becomes("ACTIVE")
	}
	ip(t, "link", "delete", tap)
	vif("unplug")
	becomes("DOWN")
	libvirt()
	becomes("ACTIVE")
	bind("") // the port goes first, then the instance
	c.waitFor("the tap to be down", func() bool {
		l, err := net.InterfaceByName(tap)
		return err == nil && l.Flags&net.FlagUp == 0
	})
	ip(t, "link", "delete", tap)
	for _, noun := range [][2]string{{"ports", p.ID}, {"networks", n.ID}} {
		if err := cl.Delete(t.Context(), noun[0], noun[1]); err != nil {
			t.Fatal(err)
		}
	}
	c.waitFor("the bridge to go", func() bool {
		_, err := net.InterfaceByName(bridge)
		return err != nil
	})
}
