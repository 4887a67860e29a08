package api

import (
	"net/netip"
	"strings"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/core"
	"github.com/weftnet/weft/internal/store"
)

// Subnets is the table of subnets.
func Subnets(svc *core.Service) *Resource[weft.Subnet] {
	modes := oneOf(weft.DHCPv6Stateful, weft.DHCPv6Stateless, weft.SLAAC)
	return &Resource[weft.Subnet]{
		Singular: "subnet", Plural: "subnets", Table: store.Subnets,
		Implements: []string{"subnet-dns-publish-fixed-ip", "subnet-service-types"},
		Attrs: table(ident(), standard(), tagged(),
			[]Attr{
				row("name", "CUVFS", "", text(255)),
				row("ip_version", "CVFSR", Unset, oneOfInt(4, 6)),
				row("network_id", "CVFSR", Unset, uuidType),
				row("subnetpool_id", "CVFS", Unset, poolID),
				row("prefixlen", "C", Unset, nonNegative),
				row("cidr", "CVFS", Unset, subnetCIDR.orNull()),
				row("gateway_ip", "CUVFS", Unset, ipAddress.orNull()),
				row("allocation_pools", "CUV", Unset, ipPools),
				row("dns_nameservers", "CUV", Unset, nameservers),
				row("host_routes", "CUV", Unset, hostRoutes),
				row("enable_dhcp", "CUVFS", true, boolean),
				row("ipv6_ra_mode", "CVFS", Unset, modes),
				row("ipv6_address_mode", "CVFS", Unset, modes),
				row("shared", "F", Unset, boolean),
			},
			ext("default-subnetpools", row("use_default_subnetpool", "C", false, boolean)),
			ext("segment", row("segment_id", "CUVFS", nil, uuidType.orNull())),
			ext("subnet-dns-publish-fixed-ip", row("dns_publish_fixed_ip", "CUV", false, boolean)),
			ext("subnet-service-types", row("service_types", "CUV", Unset, serviceTypes)),
		),
		Create: func(tx *store.Tx, s *weft.Subnet, rq Request) error {
			in := core.SubnetRequest{UseDefaultPool: rq.Values["use_default_subnetpool"] == true}
			if n, ok := rq.Values["prefixlen"].(int64); ok {
				length := int(n)
				in.Prefixlen = &length
			}
			return svc.CreateSubnet(tx, s, in, rq.Given)
		},
		Update: func(tx *store.Tx, old, s *weft.Subnet, rq Request) error {
			return svc.UpdateSubnet(tx, old, s, rq.Given)
		},
		Delete: svc.DeleteSubnet,
		Parent: networkOf(func(s *weft.Subnet) string { return s.NetworkID }),
		Using:  ownNetwork("subnet", func(s *weft.Subnet) string { return s.NetworkID }),
	}
}

// poolID is a subnet pool: a uuid, null, or the literal for prefix delegation.
var poolID = Type{Name: "uuid", Validate: func(v any) string {
	if v == nil || v == "prefix_delegation" {
		return ""
	}
	return uuidType.Validate(v)
}}

// ownNetwork refuses new nouns on networks of others that are not shared with the
// caller: as if they did not exist, or, where they can be seen for being external, in
// so many words.
func ownNetwork[T any](noun string, network func(*T) string) func(*store.Tx, *T) error {
	return func(tx *store.Tx, v *T) error {
		c := tx.Caller
		if c.Admin {
			return nil
		}
		n, err := store.Networks.Get(tx, network(v))
		if err != nil || n.ProjectID == c.ProjectID {
			return err
		}
		shared, err := store.SharedAs("network").With(tx, n.ID, c.ProjectID)
		if err != nil || shared {
			return err
		}
		visible, err := store.Networks.Count(tx, store.Networks.VisibleTo(c), store.Eq("id", n.ID))
		if err == nil && visible == 0 {
			err = store.Networks.Missing(n.ID)
		} else if err == nil {
			err = weft.Errorf(weft.Forbidden, "HTTPForbidden", "Tenant %s not allowed to create %s on this network", c.ProjectID, noun)
		}
		return err
	}
}

// networkOf is the network that a noun is on, as policy asks of it; nothing if
// there is no such network.
func networkOf[T any](network func(*T) string) func(*store.Tx, *T) (parent, error) {
	return func(tx *store.Tx, v *T) (parent, error) {
		n, err := store.Networks.Get(tx, network(v))
		if err != nil {
			return parent{}, err
		}
		shared, err := store.SharedAs("network").With(tx, n.ID, tx.Caller.ProjectID)
		return parent{owner: n.ProjectID, shared: shared}, err
	}
}

// subnetCIDR takes an address for the network of that address alone.
var subnetCIDR = Type{Name: "CIDR", Convert: func(v any) (any, error) {
	if a, ok := parseIP(v); ok {
		return netip.PrefixFrom(a, a.BitLen()).String(), nil
	}
	if p, ok := parsePrefix(v); ok {
		return p.Masked().String(), nil
	}
	return nil, weft.Invalid("%s is not in a CIDR format", py(v))
}}

// serviceTypes are the owners of ports that a subnet is for. As in Neutron, whose
// clients rely on it, one may begin with any letter of "compute:" too.
var serviceTypes = Type{Name: "list of strings", Items: maxFew, Convert: func(v any) (any, error) {
	list, ok := v.([]any)
	if !ok && v != nil {
		return nil, badRequest("Subnet service types must be a list.")
	}
	for _, x := range list {
		s, _ := x.(string)
		owner := strings.HasPrefix(s, "network:") || strings.HasPrefix(s, "neutron:") || s != "" && strings.Contains("compute:", s[:1])
		if !owner {
			return nil, weft.Errorf(weft.BadRequest, "InvalidSubnetServiceType", "Subnet service type %s does not correspond to a valid device owner.", py(x))
		}
	}
	return nullToList(v)
}}
