package qos

import (
	"math"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft/internal/dataplane/nft"
	"github.com/weftnet/weft/internal/host"
)

const portA, portB = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa", "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"

func TestPorts(t *testing.T) {
	s := &host.State{Ports: []host.Port{
		{ID: portA, QoS: host.QoS{PolicyID: "p", Marked: true, DSCP: 26, Egress: host.Limits{Kbps: 8000, BurstKbit: 16000}, Ingress: host.Limits{Kpps: 2}}},
		{ID: portB, QoS: host.QoS{PolicyID: "no rules"}},
	}}
	got, limited := ports(s)
	want := `table bridge weft-qos {
  map out {
    type ifname : verdict
    "tapaaaaaaaa-aa" : goto out-tapaaaaaaaa-aa
  }
  map in {
    type ifname : verdict
    "tapaaaaaaaa-aa" : goto in-tapaaaaaaaa-aa
  }
  chain out-tapaaaaaaaa-aa {
    ether type 2048 ip dscp set 26
    ether type 34525 ip6 dscp set 26
    limit rate over 1000000 bytes/second burst 1000000 bytes drop
  }
  chain in-tapaaaaaaaa-aa {
    limit rate over 2000/second burst 1600 packets drop
  }
  chain pre {
    type filter hook 0 priority -305
    iifname vmap @out
  }
  chain post {
    type filter hook 4 priority 250
    oifname vmap @in
  }
}
`
	if diff := cmp.Diff(want, got.String()); diff != "" || !limited {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, limited := ports(&host.State{Ports: s.Ports[1:]}); limited {
		t.Error("a table for a port without rules")
	}
}

func TestRouters(t *testing.T) {
	r := &host.Router{ID: "r", AdminUp: true, GatewayQoS: host.QoS{Egress: host.Limits{Kbps: 1000}},
		Gateway: &host.RouterPort{PortID: portA, Addresses: []host.Address{{Prefix: netip.MustParsePrefix("203.0.113.2/24")}, {Prefix: netip.MustParsePrefix("2001:db8::2/64")}}},
		FloatingIPs: []host.FloatingIP{
			{Floating: netip.MustParseAddr("203.0.113.9"), QoS: host.QoS{Marked: true, DSCP: 8, Ingress: host.Limits{Kbps: 1000, BurstKbit: 2000}}},
			{Floating: netip.MustParseAddr("203.0.113.10")}}}
	table := nft.Table{Family: nft.IP, Name: "weft"}
	Limit(&table, r)
	want := `table ip weft {
  map limited-out {
    type ipv4_addr : verdict
    203.0.113.2 : goto out-203.0.113.2
  }
  map limited-in {
    type ipv4_addr : verdict
    203.0.113.9 : goto in-203.0.113.9
  }
  chain out-203.0.113.2 {
    limit rate over 125000 bytes/second burst 0 bytes drop
  }
  chain in-203.0.113.9 {
    limit rate over 125000 bytes/second burst 125000 bytes drop
  }
  chain limit-in {
    type filter hook 0 priority -250
    iifname "qg-aaaaaaaa-aa" ip daddr vmap @limited-in
  }
  chain limit-out {
    type filter hook 4 priority 150
    oifname "qg-aaaaaaaa-aa" ip saddr vmap @limited-out
  }
}
`
	if diff := cmp.Diff(want, table.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for name, change := range map[string]func(*host.Router){
		"down":     func(r *host.Router) { r.AdminUp = false },
		"no way":   func(r *host.Router) { r.Gateway = nil },
		"no rules": func(r *host.Router) { r.GatewayQoS, r.FloatingIPs = host.QoS{}, nil },
	} {
		gw := *r.Gateway
		c := *r
		c.Gateway = &gw
		change(&c)
		table := nft.Table{}
		if Limit(&table, &c); len(table.Chains)+len(table.Sets) != 0 {
			t.Errorf("%s: %s", name, table)
		}
	}
}

// Whatever the limits, the largest packet fits into the bucket, and the usual burst
// or the one that is asked for does.
func TestBuckets(t *testing.T) {
	for _, c := range []struct {
		limits       host.Limits
		bytes        string
		rate, bucket uint64
	}{
		{host.Limits{Kbps: 1}, "a slow one", 125, largest},
		{host.Limits{Kbps: 1000}, "the usual", 125_000, 125_000},
		{host.Limits{Kbps: 1000, BurstKbit: 100}, "less than a second", 125_000, 125_000},
		{host.Limits{Kbps: 1000, BurstKbit: 8000}, "more", 125_000, 1_000_000},
		{host.Limits{Kbps: math.MaxInt32, BurstKbit: math.MaxInt32}, "the most", 268_435_455_875, 268_435_455_875},
	} {
		rate, burst := bytesOf(c.limits)
		if rate != c.rate || rate+uint64(burst) != c.bucket {
			t.Errorf("%s: rate %d, bucket %d; want %d, %d", c.bytes, rate, rate+uint64(burst), c.rate, c.bucket)
		}
	}
	if rules := limits(host.Limits{}); len(rules) != 0 {
		t.Errorf("no limits are %v", rules)
	}
	if rate, burst := packetsOf(host.Limits{Kpps: 10, BurstKpkt: 3}); rate != 10_000 || burst != 3000 {
		t.Errorf("packets: rate %d, burst %d", rate, burst)
	}
	if !strings.Contains(limits(host.Limits{Kpps: 10})[0].String(), "burst 8000 packets") {
		t.Error("the usual burst of packets is not 80 %")
	}
}
