package l3

import (
	"net/netip"
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/host"
)

// want is what a router must be in the kernel.
type want struct {
	namespace string
	devices   []device
	routes    []route
	forward   bool // admin_state_up
}

// device is an interface of a router: a veth from its namespace to a bridge.
type device struct {
	port      string
	name      string // in the namespace
	tap       string // on the host
	alias     string // of the tap
	bridge    string
	mac       weft.MAC
	mtu       int
	addresses []netip.Prefix // floating IPs included
}

// route is a route by way of a device. An invalid via is "on the link".
type route struct {
	dst    netip.Prefix
	via    netip.Addr
	device string
}

var defaultRoute = netip.PrefixFrom(netip.IPv4Unspecified(), 0)

func wantOf(r *host.Router) want {
	w := want{namespace: host.RouterNamespace(r.ID), forward: r.AdminUp}
	for i := range r.Interfaces {
		w.devices = append(w.devices, deviceOf(&r.Interfaces[i], host.RouterDevice))
	}
	if r.Gateway != nil {
		gw := deviceOf(r.Gateway, host.GatewayDevice)
		for _, f := range r.FloatingIPs {
			gw.addresses = append(gw.addresses, netip.PrefixFrom(f.Floating, f.Floating.BitLen()))
		}
		w.devices = append(w.devices, gw)
		w.routes = gatewayRoutes(r.Gateway, gw.name)
	}
	for _, x := range r.Routes {
		w.routes = append(w.routes, route{dst: x.Destination, via: x.NextHop})
	}
	return w
}

func deviceOf(p *host.RouterPort, name func(string) string) device {
	d := device{port: p.PortID, name: name(p.PortID), tap: host.TapName(p.PortID), alias: mark + "port:" + p.PortID,
		bridge: host.BridgeName(p.NetworkID), mac: p.MAC, mtu: p.MTU}
	for _, a := range p.Addresses {
		d.addresses = append(d.addresses, a.Prefix)
	}
	return d
}

// gatewayRoutes is the way out: a default route by the gateway of each subnet the
// router has an address in, one a family, and the external network's other subnets
// on the link.
func gatewayRoutes(p *host.RouterPort, name string) []route {
	var out []route
	done := map[bool]bool{}
	for _, s := range p.Subnets {
		i := slices.IndexFunc(p.Addresses, func(a host.Address) bool { return a.SubnetID == s.ID })
		v4 := s.CIDR.Addr().Is4()
		if i < 0 {
			out = append(out, route{dst: s.CIDR.Masked(), device: name})
			continue
		}
		if !s.Gateway.IsValid() || done[v4] {
			continue
		}
		done[v4] = true
		if !s.CIDR.Contains(s.Gateway) {
			out = append(out, route{dst: netip.PrefixFrom(s.Gateway, s.Gateway.BitLen()), device: name})
		}
		dst := defaultRoute
		if !v4 {
			dst = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
		out = append(out, route{dst: dst, via: s.Gateway, device: name})
	}
	return out
}
