package ml2

import (
	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/placement/tree"
	"github.com/weftnet/weft/internal/store"
)

// Mechanism is a kind of host data plane.
type Mechanism interface {
	// Name is the driver's name, as in mechanism_drivers.
	Name() string
	// Bind says how the port attaches on its host to the segment, or nil if this
	// driver cannot carry it there. It changes nothing.
	Bind(tx *store.Tx, p *weft.Port, segment weft.Provider) (*Binding, error)
	// Reaches reports whether the driver carries the segment on the host, as far as
	// is known of it: an agent that is away still counts.
	Reaches(tx *store.Tx, host string, segment weft.Provider) (bool, error)
}

// QoS is what a mechanism makes of QoS rules.
type QoS struct {
	Rules     []string // types of rules
	VIFTypes  []string // of bound ports that it honours them for
	VNICTypes []string // of ports that are not bound yet
}

// QoSMechanism is a Mechanism that honours QoS rules.
type QoSMechanism interface {
	Mechanism
	QoS() QoS
}

// QoSMechanisms are those that honour QoS rules.
func (m *Manager) QoSMechanisms() []QoSMechanism {
	var out []QoSMechanism
	for _, mech := range m.mechanisms {
		if q, ok := mech.(QoSMechanism); ok {
			out = append(out, q)
		}
	}
	return out
}

// PlacedMechanism is a Mechanism whose agents have resource providers in Placement.
type PlacedMechanism interface {
	Mechanism
	Placed() tree.Kind
}

// Placed are the kinds of agents that have resource providers.
func (m *Manager) Placed() []tree.Kind {
	var out []tree.Kind
	for _, mech := range m.mechanisms {
		if p, ok := mech.(PlacedMechanism); ok {
			out = append(out, p.Placed())
		}
	}
	return out
}

// Binding is how a port attaches on its host.
type Binding struct {
	VIFType string
	Details map[string]any
}

// Bind settles how a port attaches on its host, by the first driver that can
// carry it on one of the network's segments. A port without a host is unbound;
// one that no driver can carry is kept, with vif_type binding_failed.
func (m *Manager) Bind(tx *store.Tx, p *weft.Port, n *weft.Network) error {
	p.VIFDetails = map[string]any{}
	if p.HostID == "" {
		p.VIFType = weft.VIFUnbound
		return nil
	}
	p.VIFType = weft.VIFFailed
	for _, mech := range m.mechanisms {
		for _, segment := range n.AllSegments() {
			b, err := mech.Bind(tx, p, segment)
			if err != nil {
				return err
			}
			if b == nil {
				continue
			}
			p.VIFType = b.VIFType
			for k, v := range b.Details {
				p.VIFDetails[k] = v
			}
			p.VIFDetails["bound_drivers"] = map[string]any{"0": mech.Name()}
			return nil
		}
	}
	return nil
}
