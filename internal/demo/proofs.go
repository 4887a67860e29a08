package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/client"
)

// plan is the list of proofs, in order.
func (d *Demo) plan() []proof {
	var out []proof
	for _, i := range d.t.instances {
		out = append(out, proof{"DHCP tells " + i.name + " what the API says", func(context.Context) (string, error) { return d.leased(i) }})
	}
	reach := func(claim, from, to string) {
		out = append(out, proof{claim, func(ctx context.Context) (string, error) { return d.pings(ctx, from, d.t.instance(to).address) }})
	}
	reach("ping within a subnet", "a1", "a2")
	reach("ping between 10.0.0.0/24 and 11.0.0.0/24", "a1", "b1")
	reach("ping between 10.0.0.0/24 and 20.0.0.0/24", "a1", "c1")
	reach("ping between 20.0.0.0/24 and 11.0.0.0/24", "c1", "b1")
	return append(out,
		proof{"ping out to the outside world", func(ctx context.Context) (string, error) {
			return d.pings(ctx, "a2", netip.MustParseAddr("10.62.227.1"))
		}},
		proof{"the outside world sees the router's address", d.sourceTranslated},
		proof{"TCP in through a floating IP; closed without a rule", d.floatingIP},
		proof{"opening a rule opens, closing it cuts what is established", d.openAndClose},
		proof{"frames with a false MAC or IP go nowhere", d.spoofing},
		proof{"two tenants with the same range do not meet", d.isolation},
		proof{"metadata through the router", func(ctx context.Context) (string, error) { return d.metadata(ctx, "a1") }},
		proof{"metadata on a network without a router", func(ctx context.Context) (string, error) { return d.metadata(ctx, "tb1") }},
	)
}

func (d *Demo) leased(i *instance) (string, error) {
	want := netip.PrefixFrom(i.address, i.subnet.CIDR.Bits())
	l := i.lease
	switch {
	case l.Address != want:
		return "", fmt.Errorf("address %s, want %s", l.Address, want)
	case l.Gateway != i.subnet.GatewayIP.Addr:
		return "", fmt.Errorf("gateway %s, want %s", l.Gateway, i.subnet.GatewayIP)
	case l.MTU != i.network.MTU:
		return "", fmt.Errorf("MTU %d, want %d", l.MTU, i.network.MTU)
	}
	for _, dns := range i.subnet.DNSNameservers {
		if len(l.DNS) == 0 || l.DNS[0] != dns {
			return "", fmt.Errorf("DNS %v, want %s", l.DNS, dns)
		}
	}
	return fmt.Sprintf("%s, gateway %s, DNS %v, MTU %d", l.Address, l.Gateway, l.DNS, l.MTU), nil
}

func (d *Demo) pings(ctx context.Context, from string, to netip.Addr) (string, error) {
	rtt, err := ping(ctx, d.t.instance(from).namespace, to)
	return fmt.Sprintf("%s -> %s in %s", from, to, rtt.Round(10*time.Microsecond)), err
}

func (d *Demo) sourceTranslated(ctx context.Context) (string, error) {
	l, err := echoServer(d.Outside, 7001)
	if err != nil {
		return "", err
	}
	defer l.Close()
	c, seen, err := dial(ctx, d.t.instance("a2").namespace, netip.MustParseAddrPort("10.62.227.1:7001"))
	if err != nil {
		return "", err
	}
	defer c.Close()
	if want := d.t.router.Gateway.ExternalFixedIPs[0].IPAddress.String(); seen != want {
		return "", fmt.Errorf("seen as %s, want %s", seen, want)
	}
	return seen, nil
}

const (
	openPort   = 8080
	secondPort = 8081
	udpPort    = 9999
)

func (d *Demo) floatingIP(ctx context.Context) (string, error) {
	a1 := d.t.instance("a1")
	f, err := client.Create[weft.FloatingIP](ctx, d.Admin, "floatingips", "floatingip", map[string]any{
		"floating_network_id": d.t.networks[0].ID, "port_id": a1.port.ID, "description": prefix + "fip",
		"subnet_id": d.t.subnets["extnet 10.62.227.0/24"].ID})
	if err != nil {
		return "", err
	}
	d.t.floating = f
	l, err := echoServer(a1.namespace, openPort)
	if err != nil {
		return "", err
	}
	defer l.Close()
	to := netip.AddrPortFrom(f.FloatingIPAddress.Addr, openPort)
	if _, err := ping(ctx, d.Outside, to.Addr()); err != nil {
		return "", fmt.Errorf("the floating IP does not answer: %w", err)
	}
	if c, err := dialOnce(ctx, d.Outside, to, 500*time.Millisecond); err == nil {
		c.Close()
		return "", errors.New("reached before a rule permits it")
	}
	if _, err := d.rule(ctx, d.Admin, d.t.group.ID, "tcp", openPort); err != nil {
		return "", err
	}
	c, seen, err := dial(ctx, d.Outside, to)
	if err != nil {
		return "", err
	}
	defer c.Close()
	return fmt.Sprintf("%s -> %s -> %s", seen, to, a1.address), talk(c, 2*time.Second)
}

func (d *Demo) openAndClose(ctx context.Context) (string, error) {
	a1 := d.t.instance("a1")
	l, err := echoServer(a1.namespace, secondPort)
	if err != nil {
		return "", err
	}
	defer l.Close()
	rule, err := d.rule(ctx, d.Admin, d.t.group.ID, "tcp", secondPort)
	if err != nil {
		return "", err
	}
	opened := time.Now()
	c, _, err := dial(ctx, d.t.instance("c1").namespace, netip.AddrPortFrom(a1.address, secondPort))
	if err != nil {
		return "", err
	}
	defer c.Close()
	took := time.Since(opened)
	if err := talk(c, 2*time.Second); err != nil {
		return "", err
	}
	if err := d.Admin.Delete(ctx, "security-group-rules", rule.ID); err != nil {
		return "", err
	}
	closed := time.Now()
	for talk(c, 500*time.Millisecond) == nil {
		if time.Since(closed) > 5*time.Second {
			return "", errors.New("the established connection lives on after its rule is gone")
		}
		time.Sleep(5 * time.Millisecond)
	}
	return fmt.Sprintf("open after %s, cut after the rule went", took.Round(time.Millisecond)), nil
}

func (d *Demo) spoofing(ctx context.Context) (string, error) {
	a1, a2 := d.t.instance("a1"), d.t.instance("a2")
	if _, err := d.rule(ctx, d.Admin, d.t.group.ID, "udp", udpPort); err != nil {
		return "", err
	}
	in, err := inbox(a1.namespace, udpPort)
	if err != nil {
		return "", err
	}
	defer in.Close()
	honest := datagram{srcMAC: a2.port.MAC, dstMAC: a1.port.MAC, src: a2.address, dst: a1.address, port: udpPort, payload: "honest"}
	if err := until(ctx, func() (bool, error) {
		return arrives(in, "honest", 100*time.Millisecond), inject(a2.namespace, honest.frame())
	}); err != nil {
		return "", fmt.Errorf("an honest frame does not arrive: %w", err)
	}
	falseMAC, falseIP := honest, honest
	falseMAC.srcMAC[5] ^= 1
	falseMAC.payload = "false MAC"
	falseIP.src = a2.subnet.CIDR.Addr().Next().Next()
	if falseIP.src == a2.address || falseIP.src == a1.address {
		falseIP.src = falseIP.src.Prev().Prev().Prev()
	}
	falseIP.payload = "false IP"
	for _, f := range []datagram{falseMAC, falseIP} {
		if err := inject(a2.namespace, f.frame()); err != nil {
			return "", err
		}
		if arrives(in, f.payload, 300*time.Millisecond) {
			return "", fmt.Errorf("a frame with a %s arrived", f.payload)
		}
	}
	return "an honest frame arrives, both false ones do not", nil
}

// until repeats try until it is true.
func until(ctx context.Context, try func() (bool, error)) error {
	for {
		ok, err := try()
		if ok || err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

func (d *Demo) isolation(ctx context.Context) (string, error) {
	ta1, tb1, tb2 := d.t.instance("ta1"), d.t.instance("tb1"), d.t.instance("tb2")
	if _, err := ping(ctx, ta1.namespace, d.t.instance("ta2").address); err != nil {
		return "", fmt.Errorf("within tenant A: %w", err)
	}
	if _, err := ping(ctx, tb1.namespace, tb2.address); err != nil {
		return "", fmt.Errorf("within tenant B: %w", err)
	}
	if err := unreachable(ctx, ta1.namespace, tb2.address); err != nil {
		return "", fmt.Errorf("from tenant A to tenant B: %w", err)
	}
	return fmt.Sprintf("%s of tenant B is not there for tenant A, which has %s too", tb2.address, ta1.address), nil
}

func (d *Demo) metadata(ctx context.Context, name string) (string, error) {
	i := d.t.instance(name)
	var id string
	err := until(ctx, func() (bool, error) {
		body, h, err := get(ctx, i.namespace, "http://169.254.169.254/latest/meta-data/instance-id")
		var timeout net.Error
		if err != nil && errors.As(err, &timeout) {
			return false, nil
		}
		if err == nil && h.Get("X-Instance-ID") != "" && h.Get("X-Instance-ID") != i.port.DeviceID {
			return false, fmt.Errorf("X-Instance-ID is %s", h.Get("X-Instance-ID"))
		}
		id = body
		return err == nil, err
	})
	if err != nil {
		return "", err
	}
	body, _, err := get(ctx, i.namespace, "http://169.254.169.254/latest/meta-data/local-ipv4")
	if err != nil {
		return "", err
	}
	if body != i.address.String() {
		return "", fmt.Errorf("local-ipv4 is %q, want %s", body, i.address)
	}
	return fmt.Sprintf("instance %s with %s", id, body), nil
}
