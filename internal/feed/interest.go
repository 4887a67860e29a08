package feed

import (
	"encoding/json"
	"reflect"
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/host"
	"github.com/weftnet/weft/internal/store"
)

// interest says which changes may alter the state of a host.
type interest struct {
	host     string
	ports    map[string]bool // bound to the host
	networks map[string]bool
	groups   map[string]bool // groups of its ports and groups, also of addresses, their rules refer to
	routers  map[string]bool
	floating map[string]bool // floating IPs on its routers
	policies map[string]bool // QoS policies in force
}

func interestOf(s *host.State) interest {
	in := interest{s.Host, map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}}
	eachQoS(s, func(q *host.QoS) {
		if q.PolicyID != "" {
			in.policies[q.PolicyID] = true
		}
	})
	for i := range s.Ports {
		in.ports[s.Ports[i].ID] = true
	}
	for _, n := range s.Networks {
		in.networks[n.ID] = true
	}
	for _, g := range s.Groups {
		in.groups[g.ID] = true
	}
	for id := range s.Members {
		in.groups[id] = true
	}
	for _, r := range s.Routers {
		in.routers[r.ID] = true
		for _, f := range r.FloatingIPs {
			in.floating[f.ID] = true
		}
	}
	return in
}

// concerns errs on the side of true.
func (in interest) concerns(c store.Change) bool {
	switch c.Noun {
	case "networks":
		return in.networks[c.ID]
	case "subnets":
		return in.either(c, in.subnet)
	case "ports":
		return in.port(c)
	case "trunks":
		return in.trunk(c)
	case "port_bindings":
		return in.either(c, in.binding)
	case "security_groups", "address_groups":
		return in.groups[c.ID]
	case "security_group_rules":
		return in.either(c, in.rule)
	case "routers":
		return in.routers[c.ID] || in.either(c, in.router)
	case "floatingips":
		return in.floatingIP(c)
	case "port_forwardings":
		return in.either(c, in.forwarding)
	case "conntrack_helpers":
		return in.either(c, in.helper)
	case "ndp_proxies":
		return in.either(c, in.proxy)
	case "qos_rules":
		return in.either(c, in.qosRule)
	case "agents":
		return c.Op != store.OpUpdate || in.either(c, in.agent) || moved(c)
	}
	return false
}

// either applies a test to the documents before and after a change.
func (in interest) either(c store.Change, test func([]byte) bool) bool {
	return c.Before != nil && test(c.Before) || c.After != nil && test(c.After)
}

func decode[T any](doc []byte) *T {
	v := new(T)
	if err := json.Unmarshal(doc, v); err != nil {
		return nil
	}
	return v
}

func (in interest) binding(doc []byte) bool {
	b := decode[weft.PortBinding](doc)
	return b == nil || b.Host == in.host
}

func (in interest) subnet(doc []byte) bool {
	s := decode[weft.Subnet](doc)
	return s == nil || in.networks[s.NetworkID]
}

func (in interest) rule(doc []byte) bool {
	r := decode[weft.SecurityGroupRule](doc)
	return r == nil || in.groups[r.SecurityGroupID]
}

func (in interest) qosRule(doc []byte) bool {
	r := decode[weft.QoSRule](doc)
	return r == nil || in.policies[r.PolicyID]
}

func (in interest) router(doc []byte) bool {
	r := decode[weft.Router](doc)
	return r == nil || r.HostID == in.host
}

func (in interest) agent(doc []byte) bool {
	a := decode[weft.Agent](doc)
	return a == nil || a.Host == in.host
}

// moved reports whether an agent has come back with another tunnel address, to which
// the other hosts have to send.
func moved(c store.Change) bool {
	before, after := decode[weft.Agent](c.Before), decode[weft.Agent](c.After)
	return before == nil || after == nil || tunnelEnd(before) != tunnelEnd(after)
}

// port leaves out changes that hosts do not see, above all those of the status,
// which follow from the host's own reports.
func (in interest) port(c store.Change) bool {
	var before, after *weft.Port
	if c.Before != nil {
		before = decode[weft.Port](c.Before)
	}
	if c.After != nil {
		after = decode[weft.Port](c.After)
	}
	if before != nil && after != nil {
		for _, p := range []*weft.Port{before, after} {
			p.Status, p.Revision, p.UpdatedAt = "", 0, weft.Time{}
			p.Name, p.Description, p.Tags = "", "", nil
		}
		if reflect.DeepEqual(before, after) {
			return false
		}
	}
	return in.portTouches(before) || in.portTouches(after)
}

func (in interest) portTouches(p *weft.Port) bool {
	if p == nil {
		return false
	}
	if p.HostID == in.host || in.networks[p.NetworkID] {
		return true
	}
	for _, g := range p.SecurityGroups {
		if in.groups[g] {
			return true
		}
	}
	return false
}

// trunk leaves out changes of all but the subports, like port.
func (in interest) trunk(c store.Change) bool {
	if c.Before != nil && c.After != nil {
		b, a := decode[weft.Trunk](c.Before), decode[weft.Trunk](c.After)
		if b != nil && a != nil && slices.Equal(b.SubPorts, a.SubPorts) {
			return false
		}
	}
	return in.either(c, func(doc []byte) bool {
		t := decode[weft.Trunk](doc)
		return t == nil || len(t.SubPorts) > 0 && in.ports[t.PortID] ||
			slices.ContainsFunc(t.SubPorts, func(s weft.SubPort) bool { return in.ports[s.PortID] })
	})
}

// floatingIP leaves out changes of the status, like port.
func (in interest) floatingIP(c store.Change) bool {
	if c.Before != nil && c.After != nil {
		b, a := decode[weft.FloatingIP](c.Before), decode[weft.FloatingIP](c.After)
		if b != nil && a != nil && b.RouterID == a.RouterID && b.FixedIPAddress == a.FixedIPAddress && b.PortID == a.PortID && b.QoSPolicyID == a.QoSPolicyID {
			return false
		}
	}
	return in.either(c, func(doc []byte) bool {
		f := decode[weft.FloatingIP](doc)
		return f == nil || in.routers[string(f.RouterID)]
	})
}
