package core

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/host"
	"github.com/weftnet/weft/internal/sharing"
	"github.com/weftnet/weft/internal/store"
)

func TestCreatePortDefaults(t *testing.T) {
	b := newBench(t)
	n := b.network()
	sn := b.subnet(n, "10.0.0.0/24")
	p := b.port(&weft.Port{NetworkID: n.ID})
	if !strings.HasPrefix(p.MAC.String(), "fa:16:3e:") {
		t.Errorf("MAC %s", p.MAC)
	}
	if len(p.FixedIPs) != 1 || p.FixedIPs[0].SubnetID != sn.ID || !sn.CIDR.Contains(p.FixedIPs[0].IPAddress) || p.FixedIPs[0].IPAddress == sn.GatewayIP.Addr {
		t.Errorf("fixed_ips %v", p.FixedIPs)
	}
	if diff := cmp.Diff([]string{"default-of-p1"}, []string(p.SecurityGroups)); diff != "" {
		t.Error(diff)
	}
	if p.Status != "DOWN" || !p.PortSecurity || p.VIFType != "unbound" || p.VNICType != "normal" || p.IPAllocation != "immediate" {
		t.Errorf("port %+v", p)
	}
	name := "host-" + strings.ReplaceAll(p.FixedIPs[0].IPAddress.String(), ".", "-")
	want := []weft.DNSAssignment{{IPAddress: p.FixedIPs[0].IPAddress, Hostname: name, FQDN: name + ".openstacklocal."}}
	if diff := cmp.Diff(want, []weft.DNSAssignment(p.DNSAssignment), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

func TestCreatePortRefusals(t *testing.T) {
	b := newBench(t)
	n, other := b.network(), b.network()
	sn, foreign, auto := b.subnet(n, "10.0.0.0/24"), b.subnet(other, "10.9.0.0/24"), b.slaac(n, "2001:db8::/64")
	taken := b.port(&weft.Port{NetworkID: n.ID, FixedIPs: []weft.FixedIP{{IPAddress: addr("10.0.0.9")}}}, "fixed_ips")
	router := &weft.Router{}
	router.ProjectID = "p1"
	b.must(func(tx *store.Tx) error { return store.Routers.Insert(tx, router) })

	for _, tc := range []struct {
		name         string
		port         weft.Port
		given        []string
		caller       *weft.Caller
		typ, message string
	}{
		{"no such network", weft.Port{NetworkID: "x"}, nil, nil, "NetworkNotFound", "Network x could not be found."},
		{"hidden network", weft.Port{NetworkID: n.ID}, nil, member("p2"), "NetworkNotFound", "Network " + n.ID + " could not be found."},
		{"MAC in use", weft.Port{NetworkID: n.ID, MAC: taken.MAC}, []string{"mac_address"}, nil, "MacAddressInUse",
			"Unable to complete operation for network " + n.ID + ". The mac address " + taken.MAC.String() + " is in use."},
		{"same MAC elsewhere", weft.Port{NetworkID: other.ID, MAC: taken.MAC}, []string{"mac_address"}, nil, "", ""},
		{"address in use", weft.Port{NetworkID: n.ID, FixedIPs: []weft.FixedIP{{IPAddress: addr("10.0.0.9")}}}, []string{"fixed_ips"}, nil,
			"IpAddressAlreadyAllocated", "IP address 10.0.0.9 already allocated in subnet " + sn.ID},
		{"no subnet for address", weft.Port{NetworkID: n.ID, FixedIPs: []weft.FixedIP{{IPAddress: addr("10.1.0.9")}}}, []string{"fixed_ips"}, nil,
			"InvalidIpForNetwork", "IP address 10.1.0.9 is not a valid IP for any of the subnets on the specified network."},
		{"broadcast", weft.Port{NetworkID: n.ID, FixedIPs: []weft.FixedIP{{SubnetID: sn.ID, IPAddress: addr("10.0.0.255")}}}, []string{"fixed_ips"}, nil,
			"InvalidIpForSubnet", "IP address 10.0.0.255 is not a valid IP for the specified subnet."},
		{"subnet of another network", weft.Port{NetworkID: n.ID, FixedIPs: []weft.FixedIP{{SubnetID: foreign.ID}}}, []string{"fixed_ips"}, nil, "InvalidInput",
			"Invalid input for operation: Failed to create port on network " + n.ID + ", because fixed_ips included invalid subnet " + foreign.ID + "."},
		{"address on SLAAC subnet", weft.Port{NetworkID: n.ID, FixedIPs: []weft.FixedIP{{SubnetID: auto.ID, IPAddress: addr("2001:db8::9")}}}, []string{"fixed_ips"}, nil,
			"AllocationOnAutoAddressSubnet", "IPv6 address 2001:db8::9 cannot be directly assigned to a port on subnet " + auto.ID +
				" as the subnet is configured for automatic addresses"},
		{"groups without port security", weft.Port{NetworkID: n.ID, SecurityGroups: []string{"g"}}, []string{"security_groups", "port_security_enabled"}, nil,
			"PortSecurityAndIPRequiredForSecurityGroups", "Port security must be enabled and port must have an IP address in order to use security groups."},
		{"pairs without port security", weft.Port{NetworkID: n.ID, AllowedPairs: []weft.AddressPair{{IPAddress: "10.0.0.3"}}}, []string{"allowed_address_pairs", "port_security_enabled"}, nil,
			"AddressPairAndPortSecurityRequired", "Port Security must be enabled in order to have allowed address pairs on a port."},
		{"doubled pair", weft.Port{NetworkID: n.ID, AllowedPairs: []weft.AddressPair{{IPAddress: "10.0.0.3"}, {IPAddress: "10.0.0.3"}}}, []string{"allowed_address_pairs"}, nil,
			"DuplicateAddressPairInRequest", ""},
		{"too many pairs", weft.Port{NetworkID: n.ID, AllowedPairs: make([]weft.AddressPair, 11)}, []string{"allowed_address_pairs"}, nil,
			"AllowedAddressPairExhausted", "The number of allowed address pair exceeds the maximum 10."},
		{"router of another", weft.Port{NetworkID: n.ID, DeviceOwner: weft.OwnerRouterInterface, DeviceID: router.ID}, nil, member("p2"), "NetworkNotFound", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := b
			if tc.caller != nil {
				b = b.as(tc.caller)
			}
			wantRefusal(t, b.createPort(&tc.port, tc.given...), tc.typ, tc.message)
		})
	}
	b.must(func(tx *store.Tx) error { return sharing.Share(tx, "network", n.ID, true) })
	wantRefusal(t, b.as(member("p2")).createPort(&weft.Port{NetworkID: n.ID, DeviceOwner: weft.OwnerRouterInterface, DeviceID: router.ID}),
		"DeviceIDNotOwnedByTenant", "The following device_id "+router.ID+" is not owned by your project or matches another project router.")
	wantRefusal(t, b.as(member("p2")).createPort(&weft.Port{NetworkID: n.ID}), "", "")
}

func TestAddressesOfNewPort(t *testing.T) {
	b := newBench(t)
	n := b.network()
	v4, auto := b.subnet(n, "10.0.0.0/24"), b.slaac(n, "2001:db8::/64")
	stateful := &weft.Subnet{NetworkID: n.ID, CIDR: prefix("2001:db8:1::/64"), EnableDHCP: true}
	if err := b.createSubnet(stateful, SubnetRequest{}); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name  string
		owner string
		asked []weft.FixedIP
		given []string
		want  []string // subnets
	}{
		{"nothing asked", "", nil, nil, []string{v4.ID, stateful.ID, auto.ID}},
		{"none asked", "", nil, []string{"fixed_ips"}, []string{auto.ID}},
		{"IPv4 asked", "compute:nova", []weft.FixedIP{{SubnetID: v4.ID}}, []string{"fixed_ips"}, []string{v4.ID, auto.ID}},
		{"SLAAC asked", "", []weft.FixedIP{{SubnetID: auto.ID}}, []string{"fixed_ips"}, []string{auto.ID}},
		{"two of one subnet", "", []weft.FixedIP{{SubnetID: v4.ID}, {SubnetID: v4.ID}}, []string{"fixed_ips"}, []string{v4.ID, v4.ID, auto.ID}},
		{"router", weft.OwnerRouterInterface, []weft.FixedIP{{IPAddress: addr("2001:db8::1")}}, []string{"fixed_ips"}, []string{auto.ID}},
		{"router asks none", weft.OwnerRouterInterface, nil, []string{"fixed_ips"}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := b.port(&weft.Port{NetworkID: n.ID, DeviceOwner: tc.owner, FixedIPs: tc.asked}, tc.given...)
			var got []string
			for _, ip := range p.FixedIPs {
				got = append(got, ip.SubnetID)
				if ip.SubnetID == auto.ID && tc.owner == "" && ip.IPAddress != weft.EUI64(auto.CIDR, p.MAC) {
					t.Errorf("%s is not derived from %s", ip.IPAddress, p.MAC)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestServiceTypes(t *testing.T) {
	b := newBench(t)
	n := b.network()
	special := &weft.Subnet{NetworkID: n.ID, CIDR: prefix("10.1.0.0/24"), ServiceTypes: []string{"network:router_gateway"}}
	if err := b.createSubnet(special, SubnetRequest{}); err != nil {
		t.Fatal(err)
	}
	err := b.createPort(&weft.Port{NetworkID: n.ID, DeviceOwner: "compute:nova"})
	wantRefusal(t, err, "IpAddressGenerationFailureNoMatchingSubnet",
		"No valid service subnet for the given device owner, network "+n.ID+", service type compute:nova.")
	general := b.subnet(n, "10.2.0.0/24")
	if p := b.port(&weft.Port{NetworkID: n.ID, DeviceOwner: "compute:nova"}); p.FixedIPs[0].SubnetID != general.ID {
		t.Error("an instance got an address for gateways")
	}
	if p := b.port(&weft.Port{NetworkID: n.ID, DeviceOwner: weft.OwnerRouterGateway}); p.FixedIPs[0].SubnetID != special.ID {
		t.Error("a gateway got an address for all")
	}
}

func TestUpdateAddresses(t *testing.T) {
	b := newBench(t)
	n := b.network()
	v4, second, auto := b.subnet(n, "10.0.0.0/24"), b.subnet(n, "10.1.0.0/24"), b.slaac(n, "2001:db8::/64")
	p := b.port(&weft.Port{NetworkID: n.ID, FixedIPs: []weft.FixedIP{{SubnetID: v4.ID}}}, "fixed_ips")
	first := p.FixedIPs[0]

	p, err := b.updatePort(p.ID, func(p *weft.Port) { p.FixedIPs = []weft.FixedIP{{SubnetID: v4.ID}, {SubnetID: second.ID}} }, "fixed_ips")
	if err != nil || len(p.FixedIPs) != 3 || p.FixedIPs[0] != first || p.FixedIPs[1].SubnetID != second.ID || p.FixedIPs[2].SubnetID != auto.ID {
		t.Fatalf("adding an address: %v %v", p.FixedIPs, err)
	}
	mac := weft.MAC{0xfa, 0x16, 0x3e, 1, 2, 3}
	p, err = b.updatePort(p.ID, func(p *weft.Port) { p.MAC = mac }, "mac_address")
	if err != nil || p.FixedIPs[0] != first || p.FixedIPs[2].IPAddress != weft.EUI64(auto.CIDR, mac) {
		t.Fatalf("changing the MAC: %v %v", p.FixedIPs, err)
	}
	p, err = b.updatePort(p.ID, func(p *weft.Port) { p.FixedIPs = nil }, "fixed_ips")
	if err != nil || len(p.FixedIPs) != 1 || p.FixedIPs[0].SubnetID != auto.ID {
		t.Fatalf("dropping all: %v %v", p.FixedIPs, err)
	}
	p, err = b.updatePort(p.ID, func(p *weft.Port) { p.Name = "x" }, "name")
	if err != nil || len(p.FixedIPs) != 1 {
		t.Fatalf("changing the name: %v %v", p.FixedIPs, err)
	}
	_, err = b.updatePort(p.ID, func(p *weft.Port) { p.FixedIPs = []weft.FixedIP{{IPAddress: addr("10.0.0.0")}} }, "fixed_ips")
	wantRefusal(t, err, "InvalidIpForNetwork", "")
}

func TestUpdatePortSecurity(t *testing.T) {
	b := newBench(t)
	n := b.network()
	p := b.port(&weft.Port{NetworkID: n.ID})
	off := func(p *weft.Port) { p.PortSecurity = false }
	_, err := b.updatePort(p.ID, off, "port_security_enabled")
	wantRefusal(t, err, "PortSecurityPortHasSecurityGroup",
		"Port has security group associated. Cannot disable port security or IP address until security group is removed.")
	_, err = b.updatePort(p.ID, func(p *weft.Port) { p.AllowedPairs = []weft.AddressPair{{IPAddress: "10.0.0.0/24"}} }, "allowed_address_pairs")
	wantRefusal(t, err, "", "")
	if got := b.getPort(p.ID).AllowedPairs[0].MAC; got != p.MAC {
		t.Errorf("pair has MAC %s", got)
	}
	_, err = b.updatePort(p.ID, func(p *weft.Port) { off(p); p.SecurityGroups = nil }, "port_security_enabled", "security_groups")
	wantRefusal(t, err, "AddressPairAndPortSecurityRequired", "")
	_, err = b.updatePort(p.ID, func(p *weft.Port) { off(p); p.SecurityGroups, p.AllowedPairs = nil, nil },
		"port_security_enabled", "security_groups", "allowed_address_pairs")
	wantRefusal(t, err, "", "")
	trusted := b.port(&weft.Port{NetworkID: n.ID, DeviceOwner: weft.OwnerRouterInterface})
	if trusted.PortSecurity || len(trusted.SecurityGroups) > 0 {
		t.Errorf("a router's port is filtered: %+v", trusted)
	}
}

func TestExtraDHCPOptions(t *testing.T) {
	b := newBench(t)
	p := b.port(&weft.Port{NetworkID: b.network().ID, ExtraDHCPOpts: []weft.ExtraDHCPOpt{{Name: "mtu", Value: "1400", IPVersion: 4}, {Name: "a", Value: "1", IPVersion: 4}}}, "extra_dhcp_opts")
	p, err := b.updatePort(p.ID, func(p *weft.Port) {
		p.ExtraDHCPOpts = []weft.ExtraDHCPOpt{{Name: "mtu", Value: weft.NoValue, IPVersion: 4}, {Name: "b", Value: "2", IPVersion: 6}}
	}, "extra_dhcp_opts")
	if err != nil {
		t.Fatal(err)
	}
	want := []weft.ExtraDHCPOpt{{Name: "a", Value: "1", IPVersion: 4}, {Name: "b", Value: "2", IPVersion: 6}}
	if diff := cmp.Diff(want, []weft.ExtraDHCPOpt(p.ExtraDHCPOpts)); diff != "" {
		t.Error(diff)
	}
}

func TestBindingAndStatus(t *testing.T) {
	b := newBench(t)
	n := b.network()
	p := b.port(&weft.Port{NetworkID: n.ID, HostID: "h1"})
	if p.VIFType != "bridge" {
		t.Fatalf("vif_type %s", p.VIFType)
	}
	want := map[string]any{"port_filter": true, "connectivity": "l2", "bound_drivers": map[string]any{"0": "linuxbridge"}}
	if diff := cmp.Diff(want, b.getPort(p.ID).VIFDetails); diff != "" {
		t.Error(diff)
	}
	if q := b.port(&weft.Port{NetworkID: n.ID, HostID: "nowhere"}); q.VIFType != "binding_failed" {
		t.Errorf("bound to a host without agent: %s", q.VIFType)
	}
	report := func(host string, r host.PortReport) *weft.Port {
		b.must(func(tx *store.Tx) error { return b.s.SetPortStatuses(tx, host, []hostReport{r}) })
		return b.getPort(p.ID)
	}
	steps := []struct {
		host   string
		report hostReport
		status string
		rev    int64
	}{
		{"h2", hostReport{ID: p.ID, Revision: 1, Up: true}, "DOWN", 1},
		{"h1", hostReport{ID: p.ID, Revision: 0, Up: true}, "DOWN", 1},
		{"h1", hostReport{ID: p.ID, Revision: 1, Up: true}, "ACTIVE", 2},
		{"h1", hostReport{ID: p.ID, Revision: 1, Up: true}, "ACTIVE", 2},
		{"h1", hostReport{ID: p.ID, Revision: 1, Up: false}, "DOWN", 3},
		{"h1", hostReport{ID: p.ID, Revision: 1, Up: true}, "ACTIVE", 4},
	}
	for i, st := range steps {
		if got := report(st.host, st.report); got.Status != st.status || got.Revision != st.rev {
			t.Errorf("step %d: %s revision %d, want %s %d", i, got.Status, got.Revision, st.status, st.rev)
		}
	}
	_, err := b.updatePort(p.ID, func(p *weft.Port) { p.MAC[5]++ }, "mac_address")
	wantRefusal(t, err, "PortBound", "")
	q, err := b.updatePort(p.ID, func(p *weft.Port) { p.HostID = "" }, "binding:host_id")
	if err != nil || q.Status != "DOWN" || q.VIFType != "unbound" || len(q.VIFDetails) != 0 {
		t.Errorf("unbinding: %+v %v", q, err)
	}
	q, err = b.updatePort(p.ID, func(p *weft.Port) { p.HostID = "h1" }, "binding:host_id")
	if err != nil || q.VIFType != "bridge" || q.BoundRevision != q.Revision {
		t.Errorf("binding again: %+v %v", q, err)
	}
	if got := report("h1", hostReport{ID: p.ID, Revision: q.Revision - 1, Up: true}); got.Status != "DOWN" {
		t.Error("a report from before the binding made the port ACTIVE")
	}
}

// A host that a port is prepared for says when it is ready there, which the port's own
// status does not show.
func TestWiredWhereItIsToGo(t *testing.T) {
	b := newBench(t)
	b.host("h2")
	p := b.port(&weft.Port{NetworkID: b.network().ID, HostID: "h1", DeviceOwner: "compute:nova", DeviceID: "vm"})
	b.must(func(tx *store.Tx) error {
		return b.s.CreateBinding(tx, b.getPort(p.ID), &weft.PortBinding{Host: "h2", VNICType: "normal"})
	})
	report := func(host string, up bool) {
		b.must(func(tx *store.Tx) error {
			return b.s.SetPortStatuses(tx, host, []hostReport{{ID: p.ID, Revision: 1, Up: up}})
		})
	}
	wired := func(host string, want bool) {
		t.Helper()
		b.must(func(tx *store.Tx) error {
			binding, err := store.PortBindings.First(tx, store.Eq("port_id", p.ID), store.Eq("host", host))
			if err == nil && (binding == nil || binding.Wired != want) {
				t.Errorf("on %s: %+v", host, binding)
			}
			return err
		})
	}
	report("h1", true)
	wired("h2", false)
	report("h2", true)
	wired("h2", true)
	if got := b.getPort(p.ID); got.Status != weft.StatusActive || got.HostID != "h1" {
		t.Errorf("%s on %s", got.Status, got.HostID)
	}
	report("h2", false)
	wired("h2", false)
	report("h2", true)
	b.must(func(tx *store.Tx) error {
		p, err := store.Ports.Get(tx, p.ID)
		if err == nil {
			_, err = b.s.ActivateBinding(tx, p, "h2")
		}
		return err
	})
	wired("h1", false)
}

type hostReport = host.PortReport

func TestFloatingIPPortStatus(t *testing.T) {
	b := newBench(t)
	p := b.port(&weft.Port{NetworkID: b.network().ID, DeviceOwner: weft.OwnerFloatingIP})
	if p.Status != "N/A" {
		t.Errorf("status %s", p.Status)
	}
}

func TestRetryBindings(t *testing.T) {
	b := newBench(t)
	n := b.network()
	b.subnet(n, "10.0.0.0/24")
	p := b.port(&weft.Port{NetworkID: n.ID, HostID: "h2"})
	retry := func() {
		b.must(func(tx *store.Tx) error { return b.s.RetryBindings(tx, "h2") })
	}
	retry()
	if got := b.getPort(p.ID); got.VIFType != "binding_failed" || got.Revision != 1 {
		t.Errorf("without an agent: %s, revision %d", got.VIFType, got.Revision)
	}
	b.host("h2")
	retry()
	if got := b.getPort(p.ID); got.VIFType != "bridge" || got.BoundRevision != 2 || len(b.dhcpAddresses(n)) != 1 {
		t.Errorf("with an agent: %+v", got)
	}
}

// A port has a name only where the operator has chosen a domain, as in Neutron.
func TestPortNames(t *testing.T) {
	for _, tt := range []struct{ domain, name, want, fqdn, refused string }{
		{domain: "openstacklocal.", name: "web"},
		{domain: "openstacklocal", name: "web.example.org."},
		{domain: "", name: "web"},
		{domain: "example.org.", name: "web", want: "web", fqdn: "web.example.org."},
		{domain: "example.org", name: "web.example.org.", want: "web.example.org.", fqdn: "web.example.org."},
		{domain: "example.org.", name: "web.example.net.", refused: "Its higher level labels must be equal"},
		{domain: "example.org."},
	} {
		b := newBench(t)
		cfg := Defaults()
		cfg.DNSDomain = tt.domain
		group := b.s.DefaultGroup
		b.s = New(cfg, testDrivers())
		b.s.DefaultGroup = group
		n := b.network()
		b.subnet(n, "10.0.0.0/24")
		made := &weft.Port{NetworkID: n.ID, DNSName: tt.name}
		err := b.createPort(made)
		if tt.refused != "" {
			if err == nil || !strings.Contains(err.Error(), tt.refused) {
				t.Errorf("%+v: %v", tt, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%+v: %v", tt, err)
		}
		if tt.fqdn == "" {
			domain := tt.domain
			if domain == "" {
				domain = DefaultDNSDomain
			}
			tt.fqdn = "host-" + strings.ReplaceAll(made.FixedIPs[0].IPAddress.String(), ".", "-") + "." +
				strings.TrimSuffix(domain, ".") + "."
		}
		if a := made.DNSAssignment; made.DNSName != tt.want || len(a) != 1 || a[0].FQDN != tt.fqdn {
			t.Errorf("%+v: %q %+v", tt, made.DNSName, a)
		}
	}
}
