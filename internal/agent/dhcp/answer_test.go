package dhcp

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/host"
)

func mac(s string) weft.MAC {
	m, err := weft.ParseMAC(s)
	if err != nil {
		panic(err)
	}
	return m
}

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// network has two IPv4 subnets; the second has neither gateway nor name servers
// of its own.
func network() *host.Network {
	return &host.Network{
		ID: "0a7b1f4e-0000-4000-8000-000000000001", MTU: 1450,
		Subnets: []host.Subnet{
			{
				ID: "s1", CIDR: prefix("10.0.0.0/24"), Gateway: netip.MustParseAddr("10.0.0.1"), Routed: true, EnableDHCP: true,
				DNS:    []netip.Addr{netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr("8.8.4.4")},
				Routes: []weft.Route{{Destination: prefix("192.168.0.0/16"), NextHop: netip.MustParseAddr("10.0.0.9")}},
			},
			{ID: "s2", CIDR: prefix("11.0.0.0/20"), EnableDHCP: true},
		},
		DHCP: &host.DHCP{
			PortID: "d1", MAC: mac("fa:16:3e:00:00:01"), Domain: "openstacklocal",
			Addresses: []host.Address{
				{SubnetID: "s1", Prefix: prefix("10.0.0.2/24")}, {SubnetID: "s2", Prefix: prefix("11.0.0.2/20")},
			},
		},
		Leases: []host.Lease{
			{PortID: "p1", MAC: mac("fa:16:3e:00:00:05"), Addresses: []host.Address{{SubnetID: "s1", Prefix: prefix("10.0.0.5/24")}}},
			{PortID: "p2", MAC: mac("fa:16:3e:00:00:06"), Hostname: "Web", Addresses: []host.Address{{SubnetID: "s2", Prefix: prefix("11.0.0.6/20")}}},
			{PortID: "p3", MAC: mac("fa:16:3e:00:00:07"), Addresses: []host.Address{
				{SubnetID: "s1", Prefix: prefix("10.0.0.7/24")}, {SubnetID: "s2", Prefix: prefix("11.0.0.7/20")},
			}},
			{
				PortID: "p4", MAC: mac("fa:16:3e:00:00:08"), Addresses: []host.Address{{SubnetID: "s1", Prefix: prefix("10.0.0.8/24")}},
				Options: []weft.ExtraDHCPOpt{
					{Name: "bootfile-name", Value: "pxelinux.0", IPVersion: 4},
					{Name: "tftp-server", Value: "boot.example", IPVersion: 4},
					{Name: "server-ip-address", Value: "10.0.0.44", IPVersion: 4},
					{Name: "ntp-server", Value: "10.0.0.4,10.0.0.5", IPVersion: 4},
					{Name: "150", Value: "10.0.0.44", IPVersion: 4},
					{Name: "no-such", Value: "x", IPVersion: 4},
					{Name: "server-identifier", Value: "1.2.3.4", IPVersion: 4},
					{Name: "dns-server", Value: "2001:db8::1", IPVersion: 6},
				},
			},
			{PortID: "d1", MAC: mac("fa:16:3e:00:00:01"), Owner: weft.OwnerDHCP, Addresses: []host.Address{{SubnetID: "s1", Prefix: prefix("10.0.0.2/24")}}},
		},
	}
}

func compile(t testing.TB, n *host.Network) *table {
	t.Helper()
	tab, _ := newTable(n, Settings{})
	return tab
}

// message is a client's message; further modifiers may undo what it sets.
func message(t testing.TB, kind dhcpv4.MessageType, from string, mods ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	t.Helper()
	hw, err := net.ParseMAC(from)
	if err != nil {
		t.Fatal(err)
	}
	m, err := dhcpv4.New(append([]dhcpv4.Modifier{dhcpv4.WithMessageType(kind), dhcpv4.WithHwAddr(hw)}, mods...)...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func requested(ip string) dhcpv4.Modifier {
	return dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(net.ParseIP(ip)))
}

func from(ip string) dhcpv4.Modifier { return dhcpv4.WithClientIP(net.ParseIP(ip)) }

func chosen(ip string) dhcpv4.Modifier {
	return dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.ParseIP(ip)))
}

// TestWho is who is answered, with what kind of message and which address.
func TestWho(t *testing.T) {
	const known = "fa:16:3e:00:00:05"
	const two = "fa:16:3e:00:00:07"
	tests := []struct {
		name string
		req  *dhcpv4.DHCPv4
		want string
	}{
		{"discover", message(t, dhcpv4.MessageTypeDiscover, known), "OFFER 10.0.0.5 to 255.255.255.255"},
		{"discover wishing another address", message(t, dhcpv4.MessageTypeDiscover, known, requested("10.0.0.77")), "OFFER 10.0.0.5 to 255.255.255.255"},
		{"discover of a stranger", message(t, dhcpv4.MessageTypeDiscover, "fa:16:3e:99:99:99"), "silence"},
		{"discover of the server's own port", message(t, dhcpv4.MessageTypeDiscover, "fa:16:3e:00:00:01"), "silence"},
		{"selecting", message(t, dhcpv4.MessageTypeRequest, known, requested("10.0.0.5"), chosen("10.0.0.2")), "ACK 10.0.0.5 to 255.255.255.255"},
		{"selecting another server", message(t, dhcpv4.MessageTypeRequest, known, requested("10.0.0.5"), chosen("10.0.0.3")), "silence"},
		{"selecting a wrong address", message(t, dhcpv4.MessageTypeRequest, known, requested("10.0.0.6"), chosen("10.0.0.2")), "NAK 0.0.0.0 to 255.255.255.255"},
		{"rebooting", message(t, dhcpv4.MessageTypeRequest, known, requested("10.0.0.5")), "ACK 10.0.0.5 to 255.255.255.255"},
		{"rebooting with an address of elsewhere", message(t, dhcpv4.MessageTypeRequest, known, requested("172.16.0.5")), "NAK 0.0.0.0 to 255.255.255.255"},
		{"rebooting stranger", message(t, dhcpv4.MessageTypeRequest, "fa:16:3e:99:99:99", requested("10.0.0.5")), "silence"},
		{"renewing", message(t, dhcpv4.MessageTypeRequest, known, from("10.0.0.5")), "ACK 10.0.0.5 to 10.0.0.5"},
		{"renewing a lost address", message(t, dhcpv4.MessageTypeRequest, known, from("10.0.0.6")), "NAK 0.0.0.0 to 255.255.255.255"},
		{"request without address", message(t, dhcpv4.MessageTypeRequest, known), "silence"},
		{"first of two addresses", message(t, dhcpv4.MessageTypeDiscover, two), "OFFER 10.0.0.7 to 255.255.255.255"},
		{"second of two addresses", message(t, dhcpv4.MessageTypeDiscover, two, requested("11.0.0.7")), "OFFER 11.0.0.7 to 255.255.255.255"},
		{"keeping the second", message(t, dhcpv4.MessageTypeRequest, two, from("11.0.0.7")), "ACK 11.0.0.7 to 11.0.0.7"},
		{"inform", message(t, dhcpv4.MessageTypeInform, known, from("10.0.0.5")), "ACK 0.0.0.0 to 10.0.0.5"},
		{"inform without address", message(t, dhcpv4.MessageTypeInform, known), "silence"},
		{"release", message(t, dhcpv4.MessageTypeRelease, known, from("10.0.0.5")), "silence"},
		{"decline", message(t, dhcpv4.MessageTypeDecline, known, requested("10.0.0.5")), "silence"},
		{"relayed", message(t, dhcpv4.MessageTypeDiscover, known, dhcpv4.WithGatewayIP(net.ParseIP("9.9.9.9"))), "silence"},
		{"bootp", message(t, dhcpv4.MessageTypeNone, known), "silence"},
		{"a reply", message(t, dhcpv4.MessageTypeDiscover, known, func(m *dhcpv4.DHCPv4) { m.OpCode = dhcpv4.OpcodeBootReply }), "silence"},
	}
	tab := compile(t, network())
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := "silence"
			if m := tab.answer(tt.req); m != nil {
				got = m.MessageType().String() + " " + m.YourIPAddr.String() + " to " + destination(m).IP.String()
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// summary is the options of a message as the library prints their values.
func summary(m *dhcpv4.DHCPv4) map[string]string {
	out := map[string]string{"siaddr": m.ServerIPAddr.String()}
	if m.BootFileName != "" {
		out["file"] = m.BootFileName
	}
	if m.ServerHostName != "" {
		out["sname"] = m.ServerHostName
	}
	show := map[uint8]func() string{
		1: func() string { return net.IP(m.SubnetMask()).String() }, 3: func() string { return ips(m.Router()) },
		6: func() string { return ips(m.DNS()) }, 12: m.HostName, 15: m.DomainName,
		26: func() string {
			n, _ := dhcpv4.GetUint16(dhcpv4.OptionInterfaceMTU, m.Options)
			return strconv.Itoa(int(n))
		},
		28:  func() string { return m.BroadcastAddress().String() },
		42:  func() string { return ips(m.NTPServers()) },
		51:  func() string { return m.IPAddressLeaseTime(0).String() },
		54:  func() string { return m.ServerIdentifier().String() },
		58:  func() string { return m.IPAddressRenewalTime(0).String() },
		59:  func() string { return m.IPAddressRebindingTime(0).String() },
		66:  m.TFTPServerName,
		67:  m.BootFileNameOption,
		121: func() string { return dhcpv4.Routes(m.ClasslessStaticRoute()).String() },
		150: func() string { return ips(dhcpv4.GetIPs(dhcpv4.GenericOptionCode(150), m.Options)) },
	}
	for code := range m.Options {
		switch f := show[code]; {
		case f != nil:
			out[strconv.Itoa(int(code))] = f()
		case code == 249 && cmp.Equal(m.Options[249], m.Options[121]):
			out["249"] = "as 121"
		case code != 53:
			out[strconv.Itoa(int(code))] = "?"
		}
	}
	return out
}

func ips(list []net.IP) (s string) {
	for _, ip := range list {
		s += ip.String() + " "
	}
	return s
}

func TestOptions(t *testing.T) {
	common := func(n *host.Network) *host.Network { return n }
	tests := []struct {
		name   string
		change func(*host.Network) *host.Network
		client string
		mods   []dhcpv4.Modifier
		want   map[string]string
	}{
		{"gateway, routes, other subnet", common, "fa:16:3e:00:00:05", nil, map[string]string{
			"siaddr": "10.0.0.2", "1": "255.255.255.0", "3": "10.0.0.1 ", "6": "8.8.8.8 8.8.4.4 ",
			"12": "host-10-0-0-5", "15": "openstacklocal", "26": "1450", "28": "10.0.0.255",
			"51": "24h0m0s", "54": "10.0.0.2", "58": "12h0m0s", "59": "21h0m0s",
			"121": "route to 11.0.0.0/20 via 0.0.0.0; route to 192.168.0.0/16 via 10.0.0.9; " +
				"route to 169.254.169.254/32 via 10.0.0.1; route to 0.0.0.0/0 via 10.0.0.1",
			"249": "as 121",
		}},
		{"no gateway, own name, we are the resolver", common, "fa:16:3e:00:00:06", nil, map[string]string{
			"siaddr": "11.0.0.2", "1": "255.255.240.0", "6": "11.0.0.2 ",
			"12": "Web", "15": "openstacklocal", "26": "1450", "28": "11.0.15.255",
			"51": "24h0m0s", "54": "11.0.0.2", "58": "12h0m0s", "59": "21h0m0s",
			"121": "route to 10.0.0.0/24 via 0.0.0.0; route to 169.254.169.254/32 via 11.0.0.2", "249": "as 121",
		}},
		{"a gateway that no router is", func(n *host.Network) *host.Network {
			n.Subnets[0].Routed = false
			return n
		}, "fa:16:3e:00:00:05", []dhcpv4.Modifier{dhcpv4.WithRequestedOptions(dhcpv4.OptionClasslessStaticRoute)}, map[string]string{
			"siaddr": "10.0.0.2", "1": "255.255.255.0", "26": "1450", "28": "10.0.0.255",
			"51": "24h0m0s", "54": "10.0.0.2", "58": "12h0m0s", "59": "21h0m0s",
			"121": "route to 11.0.0.0/20 via 0.0.0.0; route to 192.168.0.0/16 via 10.0.0.9; " +
				"route to 169.254.169.254/32 via 10.0.0.2; route to 0.0.0.0/0 via 10.0.0.1",
		}},
		{"only what was asked for", common, "fa:16:3e:00:00:05",
			[]dhcpv4.Modifier{dhcpv4.WithRequestedOptions(dhcpv4.OptionRouter)}, map[string]string{
				"siaddr": "10.0.0.2", "1": "255.255.255.0", "3": "10.0.0.1 ", "26": "1450", "28": "10.0.0.255",
				"51": "24h0m0s", "54": "10.0.0.2", "58": "12h0m0s", "59": "21h0m0s",
			}},
		{"isolated, no name servers wanted", func(n *host.Network) *host.Network {
			n.Subnets[1].DNS = []netip.Addr{netip.IPv4Unspecified()}
			return n
		}, "fa:16:3e:00:00:06", []dhcpv4.Modifier{dhcpv4.WithRequestedOptions(dhcpv4.OptionDomainNameServer, dhcpv4.OptionClasslessStaticRoute)},
			map[string]string{
				"siaddr": "11.0.0.2", "1": "255.255.240.0", "26": "1450", "28": "11.0.15.255",
				"51": "24h0m0s", "54": "11.0.0.2", "58": "12h0m0s", "59": "21h0m0s",
				"121": "route to 10.0.0.0/24 via 0.0.0.0; route to 169.254.169.254/32 via 11.0.0.2",
			}},
		{"network boot by options", common, "fa:16:3e:00:00:08",
			[]dhcpv4.Modifier{dhcpv4.WithRequestedOptions(dhcpv4.OptionTFTPServerName, dhcpv4.OptionBootfileName, dhcpv4.OptionNTPServers, dhcpv4.GenericOptionCode(150))},
			map[string]string{
				"siaddr": "10.0.0.44", "1": "255.255.255.0", "26": "1450", "28": "10.0.0.255",
				"51": "24h0m0s", "54": "10.0.0.2", "58": "12h0m0s", "59": "21h0m0s",
				"66": "boot.example", "67": "pxelinux.0", "42": "10.0.0.4 10.0.0.5 ", "150": "10.0.0.44 ",
			}},
		{"network boot by header", common, "fa:16:3e:00:00:08",
			[]dhcpv4.Modifier{dhcpv4.WithRequestedOptions(dhcpv4.OptionRouter)},
			map[string]string{
				"siaddr": "10.0.0.44", "file": "pxelinux.0", "sname": "boot.example",
				"1": "255.255.255.0", "3": "10.0.0.1 ", "26": "1450", "28": "10.0.0.255",
				"51": "24h0m0s", "54": "10.0.0.2", "58": "12h0m0s", "59": "21h0m0s",
			}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := compile(t, tt.change(network())).answer(message(t, dhcpv4.MessageTypeDiscover, tt.client, tt.mods...))
			if m == nil {
				t.Fatal("no answer")
			}
			parsed, err := dhcpv4.FromBytes(m.ToBytes())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, summary(parsed)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestInformHasNoLease(t *testing.T) {
	m := compile(t, network()).answer(message(t, dhcpv4.MessageTypeInform, "fa:16:3e:00:00:05", from("10.0.0.5")))
	for _, code := range []uint8{51, 58, 59} {
		if _, has := m.Options[code]; has {
			t.Errorf("option %d in the answer to an INFORM", code)
		}
	}
	if m.Router() == nil {
		t.Error("no router in the answer to an INFORM")
	}
}

func TestLongAnswerIsCut(t *testing.T) {
	n := network()
	for i := range 60 {
		n.Subnets[0].Routes = append(n.Subnets[0].Routes, weft.Route{
			Destination: netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 16, byte(i), 0}), 24), NextHop: netip.MustParseAddr("10.0.0.9"),
		})
	}
	m := compile(t, n).answer(message(t, dhcpv4.MessageTypeDiscover, "fa:16:3e:00:00:05",
		dhcpv4.WithOption(dhcpv4.OptMaxMessageSize(576))))
	if got := len(m.ToBytes()); got > 576-headers {
		t.Errorf("answer has %d bytes", got)
	}
	if m.Router() == nil || m.SubnetMask() == nil {
		t.Error("the answer lost what a lease lives on")
	}
}

func TestExtraOptions(t *testing.T) {
	tests := []struct {
		name, value string
		code        uint8
		want        string // "error" if it is refused
		tags        []string
	}{
		{"66", "tftp", 66, "tftp", nil},
		{"option:67", "f", 67, "f", nil},
		{"mtu", "1400", 26, "\x05\x78", nil},
		{"mtu", "70000", 0, "error", nil},
		{"252", "http://wpad/x", 252, "http://wpad/x", nil},
		{"200", "10.0.0.1,10.0.0.2", 200, "\x0a\x00\x00\x01\x0a\x00\x00\x02", nil},
		{"200", "300", 200, "\x01\x2c", nil},
		{"200", "de:ad:be:ef", 200, "\xde\xad\xbe\xef", nil},
		{"dns-server", "", 6, "", nil},
		{"dns-server", "x", 0, "error", nil},
		{"router", "", 3, "", nil},
		{"classless-static-route", "", 121, "", nil},
		{"classless-static-route", "10.1.0.0/16, 10.0.0.9", 121, "\x10\x0a\x01\x0a\x00\x00\x09", nil},
		{"sip-server", "10.0.0.9", 120, "\x01\x0a\x00\x00\x09", nil},
		{"domain-search", "a.b, c", 119, "\x01a\x01b\x00\x01c\x00", nil},
		{"server-ip-address", "1.2.3.4", codeNextServer, "\x01\x02\x03\x04", nil},
		{"255", "1.2.3.4", codeNextServer, "\x01\x02\x03\x04", nil},
		{"tag:!ipxe,67", "undionly.kpxe", 67, "undionly.kpxe", []string{"!ipxe"}},
		{"tag:ipxe,tag:known,option:bootfile-name", "http://a,b", 67, "http://a,b", []string{"ipxe", "known"}},
		{"tag:ipxe,67", "", 67, "", []string{"ipxe"}},
		{"tag:ipxe", "x", 0, "error", nil},
		{"tag:ipxe,", "x", 0, "error", nil},
		{"53", "1", 0, "error", nil},
		{"tag:ipxe,53", "1", 0, "error", nil},
		{"256", "1", 0, "error", nil},
		{"0", "1", 0, "error", nil},
	}
	opts := newOptionTable()
	for _, tt := range tests {
		e, err := opts.extra(tt.name, tt.value)
		got := string(e.value)
		if err != nil {
			got = "error"
		}
		if got != tt.want || e.code != tt.code || !slices.Equal(e.tags, tt.tags) {
			t.Errorf("%s=%s: %d %q %q, error %v", tt.name, tt.value, e.code, got, e.tags, err)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	for _, kind := range []dhcpv4.MessageType{1, 3, 4, 7, 8} {
		f.Add(message(f, kind, "fa:16:3e:00:00:08", requested("10.0.0.8")).ToBytes())
		f.Add(message(f, kind, "fa:16:3e:00:00:05", from("10.0.0.5"), dhcpv4.WithRequestedOptions(dhcpv4.OptionRouter)).ToBytes())
	}
	tab := compile(f, network())
	f.Fuzz(func(t *testing.T, b []byte) {
		req, err := dhcpv4.FromBytes(b)
		if err != nil {
			return
		}
		m := tab.answer(req)
		if m == nil {
			return
		}
		out := m.ToBytes()
		if len(out) > 1500-headers {
			t.Fatalf("answer of %d bytes", len(out))
		}
		if _, err := dhcpv4.FromBytes(out); err != nil {
			t.Fatalf("unreadable answer: %v", err)
		}
		if m.HWType != req.HWType || m.OpCode != dhcpv4.OpcodeBootReply {
			t.Fatal("not a reply to this request")
		}
	})
}

func BenchmarkAnswer(b *testing.B) {
	tab := compile(b, network())
	raw := message(b, dhcpv4.MessageTypeDiscover, "fa:16:3e:00:00:05").ToBytes()
	b.ReportAllocs()
	for b.Loop() {
		req, err := dhcpv4.FromBytes(raw)
		if err != nil {
			b.Fatal(err)
		}
		if len(tab.answer(req).ToBytes()) == 0 {
			b.Fatal("no answer")
		}
	}
}
