package metadata

import (
	"net"
	"net/netip"
	"strconv"

	"github.com/weftnet/weft/internal/host"
)

// The parts of network_data.json, in the form OpenStack publishes a schema for.
type (
	netLink struct {
		ID   string `json:"id"`
		VIF  string `json:"vif_id"`
		Type string `json:"type"`
		MTU  int    `json:"mtu"`
		MAC  string `json:"ethernet_mac_address"`
	}
	netRoute struct {
		Network string `json:"network"`
		Netmask string `json:"netmask"`
		Gateway string `json:"gateway"`
	}
	netService struct {
		Type    string `json:"type"`
		Address string `json:"address"`
	}
	netNetwork struct {
		ID        string       `json:"id"`
		Link      string       `json:"link"`
		Type      string       `json:"type"`
		NetworkID string       `json:"network_id"`
		Address   string       `json:"ip_address,omitempty"`
		Netmask   string       `json:"netmask,omitempty"`
		Routes    []netRoute   `json:"routes,omitempty"`
		Services  []netService `json:"services,omitempty"`
	}
	netData struct {
		Links    []netLink    `json:"links"`
		Networks []netNetwork `json:"networks"`
		Services []netService `json:"services"`
	}
)

func (in *instance) networkData() []byte {
	d := netData{Links: []netLink{}, Networks: []netNetwork{}, Services: []netService{}}
	for i := range in.ports {
		p := &in.ports[i]
		id := "tap" + p.portID[:min(len(p.portID), 11)]
		d.Links = append(d.Links, netLink{ID: id, VIF: p.portID, Type: "bridge", MTU: p.network.MTU, MAC: p.mac.String()})
		for _, a := range p.addrs {
			if s := subnetOf(p.network, a); s != nil {
				d.Networks = append(d.Networks, describe(p.network, s, a, id, "network"+strconv.Itoa(len(d.Networks))))
			}
		}
	}
	return encode(d)
}

func subnetOf(n *host.Network, a host.Address) *host.Subnet {
	for i := range n.Subnets {
		if n.Subnets[i].ID == a.SubnetID {
			return &n.Subnets[i]
		}
	}
	return nil
}

// describe says how an address is to be had: by DHCP, or, where there is none,
// everything a guest needs to set it itself.
func describe(n *host.Network, s *host.Subnet, a host.Address, link, id string) netNetwork {
	family := "ipv4"
	if a.Prefix.Addr().Is6() {
		family = "ipv6"
	}
	out := netNetwork{ID: id, Link: link, NetworkID: n.ID, Type: family}
	if s.EnableDHCP {
		out.Type = family + "_dhcp"
		return out
	}
	out.Address, out.Netmask = a.Prefix.Addr().String(), netmask(s.CIDR)
	if s.Gateway.IsValid() {
		any := netip.PrefixFrom(s.Gateway, 0).Masked()
		out.Routes = append(out.Routes, netRoute{any.Addr().String(), netmask(any), s.Gateway.String()})
	}
	for _, r := range s.Routes {
		out.Routes = append(out.Routes, netRoute{r.Destination.Addr().String(), netmask(r.Destination), r.NextHop.String()})
	}
	for _, dns := range s.DNS {
		out.Services = append(out.Services, netService{"dns", dns.String()})
	}
	return out
}

func netmask(p netip.Prefix) string {
	return net.IP(net.CIDRMask(p.Bits(), p.Addr().BitLen())).String()
}
