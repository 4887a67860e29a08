package dhcp

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/server4"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/agent/hosttest"
	"github.com/weftnet/weft/internal/dataplane/netns"
	"github.com/weftnet/weft/internal/host"
)

// Kinds of clients, by what they send.
func rom() []dhcpv4.Modifier { return []dhcpv4.Modifier{dhcpv4.WithRequestedOptions(bootOptions()...)} }

func ipxe() []dhcpv4.Modifier {
	return append(rom(), dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(codeIPXE), []byte{0xb1, 4, 1, 2, 3, 4})),
		dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.OptionUserClassInformation, []byte("iPXE"))))
}

// plain asks for a router only: files are to be in its header.
func plain() []dhcpv4.Modifier {
	return []dhcpv4.Modifier{dhcpv4.WithRequestedOptions(dhcpv4.OptionRouter)}
}

func bootOptions() []dhcpv4.OptionCode {
	var out []dhcpv4.OptionCode
	for _, code := range []uint8{3, 6, 12, 15, 42, 43, 66, 67, 119, 120, 121, 150, 175, 200, 210, 249} {
		out = append(out, dhcpv4.GenericOptionCode(code))
	}
	return out
}

// bootNetwork has one port with options of its own, and one without.
func bootNetwork(opts ...string) *host.Network {
	n := network()
	n.Subnets[0].Routes, n.Subnets = nil, n.Subnets[:1]
	n.DHCP.Addresses = n.DHCP.Addresses[:1]
	n.Leases = n.Leases[:1]
	for i := 0; i < len(opts); i += 2 {
		n.Leases[0].Options = append(n.Leases[0].Options, weft.ExtraDHCPOpt{Name: opts[i], Value: weft.OptionValue(opts[i+1]),
			IPVersion: 4})
	}
	return n
}

// ironic is what Ironic gives a port that boots by iPXE.
func ironic() []string {
	return []string{
		"tag:!ipxe,67", "undionly.kpxe", "tag:ipxe,67", "http://10.0.0.44/boot.ipxe", "66", "10.0.0.44", "150", "10.0.0.44",
		"server-ip-address", "10.0.0.44", "210", "/tftpboot/",
	}
}

// booted is what a message says of booting: header fields, and options by number.
func booted(m *dhcpv4.DHCPv4, codes ...uint8) map[string]string {
	if m == nil {
		return nil
	}
	out := map[string]string{"siaddr": m.ServerIPAddr.String(), "file": m.BootFileName, "sname": m.ServerHostName}
	for _, code := range codes {
		if v, has := m.Options[code]; has {
			out[fmt.Sprint(code)] = string(v)
		}
	}
	return out
}

func TestTaggedOptions(t *testing.T) {
	userClass := append(plain(), dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.OptionUserClassInformation, []byte("iPXE"))))
	long := "http://10.0.0.44/" + strings.Repeat("x", 120)
	tests := []struct {
		name   string
		opts   []string
		client []dhcpv4.Modifier
		want   map[string]string
	}{
		{"a ROM", ironic(), rom(),
			map[string]string{"siaddr": "10.0.0.44", "file": "", "sname": "", "66": "10.0.0.44\x00", "67": "undionly.kpxe\x00"}},
		{"iPXE", ironic(), ipxe(),
			map[string]string{"siaddr": "10.0.0.44", "file": "", "sname": "", "66": "10.0.0.44\x00",
				"67": "http://10.0.0.44/boot.ipxe\x00"}},
		{"who reads the header", ironic(), plain(), map[string]string{"siaddr": "10.0.0.44", "file": "undionly.kpxe",
			"sname": "10.0.0.44"}},
		{"iPXE by its user class", ironic(), userClass,
			map[string]string{"siaddr": "10.0.0.44", "file": "http://10.0.0.44/boot.ipxe", "sname": "10.0.0.44"}},
		{"the last one counts", []string{"67", "a", "tag:ipxe,67", "b", "server-ip-address", "10.0.0.1", "tag:ipxe,255",
			"10.0.0.2"}, ipxe(),
			map[string]string{"siaddr": "10.0.0.2", "file": "", "sname": "", "67": "b\x00"}},
		{"all tags must be right", []string{"67", "a", "tag:ipxe,tag:efi,67", "b"}, ipxe(),
			map[string]string{"siaddr": "10.0.0.2", "file": "", "sname": "", "67": "a\x00"}},
		{"nobody has it", []string{"tag:efi,67", "b"}, ipxe(), map[string]string{"siaddr": "10.0.0.2", "file": "", "sname": ""}},
		{"none for iPXE", []string{"67", "a", "tag:ipxe6,67", ""}, ipxe(),
			map[string]string{"siaddr": "10.0.0.2", "file": "", "sname": ""}},
		{"too long for the header", []string{"67", long}, plain(),
			map[string]string{"siaddr": "10.0.0.2", "file": "", "sname": "", "67": long + "\x00"}},
		{"who lists nothing", []string{"67", "a"}, nil, map[string]string{"siaddr": "10.0.0.2", "file": "a", "sname": "",
			"67": "a\x00"}},
	}
	for _, tt := range tests {
		m := compile(t, bootNetwork(tt.opts...)).answer(message(t, dhcpv4.MessageTypeDiscover, "fa:16:3e:00:00:05", tt.client...))
		if tt.client == nil {
			delete(m.Options, 66)
		}
		if diff := cmp.Diff(tt.want, booted(m, 66, 67)); diff != "" {
			t.Errorf("%s: -want +got\n%s", tt.name, diff)
		}
	}
}

// TestSuppressedOptions has a port that is told neither a router nor routes.
func TestSuppressedOptions(t *testing.T) {
	n := network()
	n.Leases[0].Options = []weft.ExtraDHCPOpt{{Name: "router", IPVersion: 4}, {Name: "classless-static-route", IPVersion: 4}}
	m := compile(t, n).answer(message(t, dhcpv4.MessageTypeDiscover, "fa:16:3e:00:00:05"))
	for _, code := range []uint8{3, 121, 249} {
		if v, has := m.Options[code]; has {
			t.Errorf("option %d is sent: %x", code, v)
		}
	}
	other := compile(t, n).answer(message(t, dhcpv4.MessageTypeDiscover, "fa:16:3e:00:00:07"))
	if other.Router() == nil || !other.Options.Has(dhcpv4.OptionClasslessStaticRoute) {
		t.Error("another port lost its router or its routes")
	}
}

// exchange sends a message from the guest and waits for the answer, which has to be a
// broadcast: the guest has no address.
func (b *bench) exchange(req *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	b.t.Helper()
	req.SetBroadcast()
	var conn *net.UDPConn
	err := netns.Do(b.guest, func() (err error) {
		conn, err = server4.NewIPv4UDPConn("eth0", &net.UDPAddr{Port: dhcpv4.ClientPort})
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close()
	buf := make([]byte, 2048)
	for range 50 {
		if _, err := conn.WriteTo(req.ToBytes(), &net.UDPAddr{IP: net.IPv4bcast, Port: dhcpv4.ServerPort}); err != nil {
			b.t.Fatal(err)
		}
		conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		n, err := conn.Read(buf)
		if err != nil {
			continue
		}
		m, err := dhcpv4.FromBytes(buf[:n])
		if err == nil && m.TransactionID == req.TransactionID {
			return m
		}
	}
	b.t.Fatalf("no answer to %s", req.Summary())
	return nil
}

// TestNetworkBoot has a ROM and then iPXE get what Ironic has given their port.
func TestNetworkBoot(t *testing.T) {
	b := newBench(t)
	b.serveOnly(bootNetwork(ironic()...))
	b.converge(b.agent())
	for _, c := range []struct {
		client []dhcpv4.Modifier
		file   string
	}{{rom(), "undionly.kpxe"}, {ipxe(), "http://10.0.0.44/boot.ipxe"}} {
		offer := b.exchange(message(t, dhcpv4.MessageTypeDiscover, "fa:16:3e:00:00:05", c.client...))
		selecting := append(c.client, requested("10.0.0.5"), chosen("10.0.0.2"))
		ack := b.exchange(message(t, dhcpv4.MessageTypeRequest, "fa:16:3e:00:00:05", selecting...))
		for _, m := range []*dhcpv4.DHCPv4{offer, ack} {
			if got := m.BootFileNameOption(); got != c.file || !m.ServerIPAddr.Equal(net.IPv4(10, 0, 0, 44)) ||
				m.TFTPServerName() != "10.0.0.44" {
				t.Errorf("want file %s, got\n%s", c.file, m.Summary())
			}
		}
	}
	told := b.udhcpc()
	if told["siaddr"] != "10.0.0.44" || told["boot_file"] != "undionly.kpxe" {
		t.Errorf("udhcpc was told %q", told)
	}
}

// serveOnly puts a network in the place of the bench's, under the same ids.
func (b *bench) serveOnly(n *host.Network) {
	n.ID, n.DHCP.PortID = b.network.ID, b.network.DHCP.PortID
	*b.network = *n
}

// TestAsDnsmasq gives ports options, and compares what clients are told with what
// they are told by dnsmasq, started as Neutron starts it.
func TestAsDnsmasq(t *testing.T) {
	hosttest.Need(t, "dnsmasq")
	kinds := map[string][]dhcpv4.Modifier{"rom": rom(), "ipxe": ipxe(), "plain": plain()}
	sets := [][]string{
		{}, ironic(),
		{"bootfile-name", "pxelinux.0", "tftp-server", "boot.example", "server-ip-address", "10.0.0.44"},
		{"67", "a.efi", "tag:ipxe,67", "b.efi", "tag:ipxe6,66", "c.example"},
		{"tag:ipxe,67", "b.efi", "67", "a.efi"},
		{"tag:!ipxe,tag:known,67", "a", "tag:!known,66", "x"},
		{"router", "", "dns-server", "", "domain-name", ""},
		{"router", "10.0.0.77", "dns-server", "0.0.0.0,10.0.0.9", "ntp-server", "10.0.0.4,10.0.0.5"},
		{"classless-static-route", "10.7.0.0/16,10.0.0.9,0.0.0.0/0,10.0.0.1", "sip-server", "10.0.0.9", "domain-search", "a.example"},
		{"200", "300", "43", "01:04:aa:bb:cc:dd", "210", "7"},
		{"255", "10.0.0.45", "200", "10.0.0.1,10.0.0.2", "210", "70000"},
	}
	b := newBench(t)
	a := b.agent()
	told := func() map[string]map[string]string {
		out := map[string]map[string]string{}
		for name, client := range kinds {
			m := b.exchange(message(t, dhcpv4.MessageTypeDiscover, "fa:16:3e:00:00:05", client...))
			out[name] = booted(m, 3, 6, 15, 42, 43, 66, 67, 119, 120, 121, 150, 200, 210)
		}
		return out
	}
	for _, opts := range sets {
		b.serveOnly(bootNetwork(opts...))
		b.converge(a)
		ours := told()
		b.run("ip link set " + host.TapName(b.network.DHCP.PortID) + " nomaster")
		stop := b.dnsmasq(opts)
		if diff := cmp.Diff(told(), ours); diff != "" {
			t.Errorf("%q: -dnsmasq +weft\n%s", opts, diff)
		}
		stop()
	}
}

// dnsmasq serves the network of the bench in a namespace of its own.
func (b *bench) dnsmasq(opts []string) (stop func()) {
	b.t.Helper()
	dir, ns := b.t.TempDir(), "wt-d"+b.network.ID[:8]
	write := func(name string, lines ...string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			b.t.Fatal(err)
		}
		return path
	}
	s := b.network.Subnets[0]
	lines := []string{
		"tag:subnet-s1,option:dns-server," + s.DNS[0].String() + "," + s.DNS[1].String(),
		"tag:subnet-s1,option:router,10.0.0.1",
		"tag:subnet-s1,option:classless-static-route,169.254.169.254/32,10.0.0.1,0.0.0.0/0,10.0.0.1",
	}
	for i := 0; i < len(opts); i += 2 {
		name, tags := opts[i], ""
		if cut := strings.LastIndex(name, ","); cut >= 0 {
			tags, name = name[:cut+1], name[cut+1:]
		}
		if name[0] > '9' {
			name = "option:" + name
		}
		lines = append(lines, strings.TrimSuffix("tag:p1,"+tags+name+","+opts[i+1], ","))
	}
	b.run("ip netns add " + ns)
	b.run("ip link add tapdnsmasq master " + host.BridgeName(b.network.ID) + " type veth peer name eth0 netns " + ns)
	b.run("ip link set tapdnsmasq up && ip -n " + ns + " addr add 10.0.0.2/24 dev eth0")
	b.run("ip -n " + ns + " link set eth0 up && ip -n " + ns + " link set lo up")
	cmd := exec.Command("ip", "netns", "exec", ns, "dnsmasq", "--keep-in-foreground", "--log-facility=-", "--user=root",
		"--no-hosts", "--no-resolv", "--pid-file", "--conf-file=/dev/null", "--local-service", "--bind-dynamic",
		"--dhcp-hostsfile="+write("host", "fa:16:3e:00:00:05,host-10-0-0-5.openstacklocal,10.0.0.5,set:p1"),
		"--dhcp-optsfile="+write("opts", lines...), "--dhcp-leasefile="+filepath.Join(dir, "leases"),
		"--dhcp-match=set:ipxe,175", "--dhcp-userclass=set:ipxe6,iPXE", "--domain=openstacklocal",
		"--dhcp-range=set:subnet-s1,10.0.0.0,static,255.255.255.0,86400s", "--dhcp-option-force=option:mtu,1450")
	cmd.Stdout, cmd.Stderr = b.t.Output(), b.t.Output()
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	return func() {
		cmd.Process.Kill()
		cmd.Wait()
		b.run("ip netns del " + ns)
		for range 100 { // the veth goes with it, in its time
			if exec.Command("ip", "link", "show", "tapdnsmasq").Run() != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// TestZeroIsTheServer has 0.0.0.0 in a list of addresses stand for the server.
func TestZeroIsTheServer(t *testing.T) {
	e := extra{code: 6, value: []byte{0, 0, 0, 0, 1, 2, 3, 4}, addresses: true}
	if got := e.from(netip.MustParseAddr("10.0.0.2")); string(got) != "\x0a\x00\x00\x02\x01\x02\x03\x04" {
		t.Errorf("got %v", got)
	}
}
