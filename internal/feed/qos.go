package feed

import (
	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/host"
	"github.com/weftnet/weft/internal/store"
)

// policyOf names the policy of a port: its own, or else that of its network. The
// rules come later, for all at once.
func (c *computation) policyOf(p *weft.Port) host.QoS {
	id := p.QoSPolicyID
	if n := c.networks[p.NetworkID]; id == "" && n != nil {
		id = n.QoSPolicyID
	}
	return host.QoS{PolicyID: string(id)}
}

// qos names the policies of ports, and reads the rules of all policies named.
func (c *computation) qos() error {
	policies := map[string]host.QoS{}
	for _, p := range c.bound {
		policies[p.ID] = c.policyOf(p)
	}
	for i := range c.out.Ports {
		c.out.Ports[i].QoS = policies[c.out.Ports[i].ID]
	}
	named := map[string]bool{}
	eachQoS(&c.out, func(q *host.QoS) {
		if q.PolicyID != "" {
			named[q.PolicyID] = true
		}
	})
	if len(named) == 0 {
		return nil
	}
	rules, err := store.QoSRules.Find(c.tx, store.In("qos_policy_id", keysOf(named)...))
	if err != nil {
		return err
	}
	byPolicy := map[string]host.QoS{}
	for id := range named {
		byPolicy[id] = host.QoS{PolicyID: id}
	}
	for _, r := range rules {
		q := byPolicy[r.PolicyID]
		addRule(&q, r)
		byPolicy[r.PolicyID] = q
	}
	eachQoS(&c.out, func(q *host.QoS) { *q = byPolicy[q.PolicyID] })
	return nil
}

// addRule takes over what hosts realise of a rule; minimums are for Placement.
func addRule(q *host.QoS, r *weft.QoSRule) {
	limits := &q.Egress
	if r.Direction == weft.Ingress {
		limits = &q.Ingress
	}
	switch r.Type {
	case weft.QoSBandwidthLimit:
		limits.Kbps, limits.BurstKbit = r.MaxKbps, r.MaxBurstKbps
	case weft.QoSPacketRateLimit:
		limits.Kpps, limits.BurstKpkt = r.MaxKpps, r.MaxBurstKpps
	case weft.QoSDSCPMarking:
		q.Marked, q.DSCP = true, uint8(r.DSCPMark)
	}
}

// eachQoS visits all that can have a policy on a host.
func eachQoS(s *host.State, visit func(*host.QoS)) {
	for i := range s.Ports {
		visit(&s.Ports[i].QoS)
	}
	for i := range s.Routers {
		r := &s.Routers[i]
		visit(&r.GatewayQoS)
		if r.Gateway != nil {
			visit(&r.Gateway.QoS)
		}
		for j := range r.Further {
			visit(&r.Further[j].QoS)
		}
		for j := range r.Interfaces {
			visit(&r.Interfaces[j].QoS)
		}
		for j := range r.FloatingIPs {
			visit(&r.FloatingIPs[j].QoS)
		}
	}
}
