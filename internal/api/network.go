package api

import (
	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/sharing"
	"github.com/weftnet/weft/internal/store"
)

// NetworkService is what the API asks of networks.
type NetworkService interface {
	CreateNetwork(tx *store.Tx, n *weft.Network, given weft.Given) error
	UpdateNetwork(tx *store.Tx, old, n *weft.Network, given weft.Given) error
	DeleteNetwork(tx *store.Tx, n *weft.Network) error
}

// Networks is the table of networks.
func Networks(svc NetworkService, cascade func(*store.Tx, *weft.Network) error) *Resource[weft.Network] {
	return &Resource[weft.Network]{
		MarkerMust: true,
		Singular:   "network", Plural: "networks", Table: store.Networks,
		Implements: []string{"external-net", "multi-provider", "net-mtu", "net-mtu-writable", "network_availability_zone", "provider"},
		Attrs: table(ident(), standard(), tagged(),
			[]Attr{
				row("name", "CUVFS", "", text(255)),
				row("admin_state_up", "CUVFS", true, boolean),
				row("status", "VFS", Unset, text(16)),
				row("shared", "CUVF", false, boolean),
				row("subnets", "V", Unset, anyType),
			},
			ext("net-mtu-writable", row("mtu", "CUVFS", int64(0), nonNegative)),
			ext("external-net", row("router:external", "CUVF", false, boolean)),
			ext("auto-allocated-topology", row("is_default", "CUVF", false, boolean)),
			ext("port-security", row("port_security_enabled", "CUV", true, boolean)),
			ext("dns-integration", row("dns_domain", "CUV", "", domainName)),
			ext("qos", row("qos_policy_id", "CUV", nil, uuidType.orNull())),
			ext("provider",
				row("provider:network_type", "CUVF", Unset, networkType),
				row("provider:physical_network", "CUVF", Unset, text(64).orNull()),
				row("provider:segmentation_id", "CUVF", Unset, integerOrNull)),
			ext("multi-provider", row("segments", "CUV", Unset, segmentList)),
			ext("address-scope", row("ipv4_address_scope", "V", Unset, anyType), row("ipv6_address_scope", "V", Unset, anyType)),
			ext("l2_adjacency", row("l2_adjacency", "V", Unset, anyType)),
			ext("network_availability_zone",
				row("availability_zone_hints", "CVS", []any{}, textList(255, maxZones)),
				row("availability_zones", "V", Unset, anyType)),
		),
		Create: func(tx *store.Tx, n *weft.Network, rq Request) error {
			if err := svc.CreateNetwork(tx, n, rq.Given); err != nil || rq.Values["shared"] != true {
				return err
			}
			return sharing.Share(tx, "network", n.ID, true)
		},
		Update: func(tx *store.Tx, old, n *weft.Network, rq Request) error {
			if err := svc.UpdateNetwork(tx, old, n, rq.Given); err != nil || !rq.Given["shared"] {
				return err
			}
			return sharing.Share(tx, "network", n.ID, rq.Values["shared"] == true)
		},
		Delete:  svc.DeleteNetwork,
		Cascade: cascade,
	}
}

var integerOrNull = Type{Name: "integer", Convert: func(v any) (any, error) {
	if v == nil {
		return nil, nil
	}
	return toInt(v)
}}

var networkType = Type{Name: "string", Convert: func(v any) (any, error) {
	if v == "" {
		return nil, weft.Invalid("network_type value '' not supported")
	}
	return v, nil
}, Validate: text(32).Validate}

// segmentList is the list of provider attributes of a network of several segments.
// Members that segments do not have are refused as attributes are.
var segmentList = Type{Name: "list of segments", Items: maxFew, Convert: func(v any) (any, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, badRequest("Invalid input for segments. Reason: '%s' is not a list.", py(v))
	}
	for _, s := range list {
		m, ok := s.(map[string]any)
		if !ok {
			return nil, badRequest("Invalid input for segments. Reason: '%s' is not a dictionary.", py(s))
		}
		if err := segmentMembers(m); err != nil {
			return nil, err
		}
	}
	return v, nil
}}

func segmentMembers(m map[string]any) error {
	for k, x := range m {
		switch k {
		case "provider:network_type", "provider:physical_network":
			if reason := text(64).orNull().Validate(x); reason != "" {
				return badRequest("Invalid input for segments. Reason: %s.", reason)
			}
		case "provider:segmentation_id":
			n, err := integerOrNull.Convert(x)
			if err != nil {
				return err
			}
			m[k] = n
		default:
			return badRequest("Unrecognized attribute(s) '%s'", py(k))
		}
	}
	return nil
}
