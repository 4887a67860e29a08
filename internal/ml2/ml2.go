package ml2

import (
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// Type is a kind of segment. Which segments are taken is in the store, written
// with the network; a Type only reads it.
type Type interface {
	// Name is the network type, as in provider:network_type.
	Name() string
	// Validate refuses, with InvalidInput, a combination of provider attributes
	// that makes no sense for the type. What the type can choose may be absent.
	Validate(p weft.Provider) error
	// Reserve completes a segment that an operator asked for, choosing what is
	// absent, and refuses one that another network has.
	Reserve(tx *store.Tx, project string, p weft.Provider) (weft.Provider, error)
	// Allocate chooses a free segment for a network of the project; ok is false when
	// the type has none to give.
	Allocate(tx *store.Tx, project string) (p weft.Provider, ok bool, err error)
	// MTU is the largest MTU of a network on the physical network, which is ""
	// for types without one; 0 is no limit of the type's own.
	MTU(physicalNetwork string) int
}

// Config is what an operator says about networks.
type Config struct {
	TenantTypes  []string // tried in this order for networks without provider attributes
	ExternalType string   // for external networks without provider attributes; "" is as for tenants
	MTU          MTU
}

// Manager answers for all drivers. Types and mechanisms are fixed when it is made.
type Manager struct {
	cfg        Config
	types      map[string]Type
	mechanisms []Mechanism
}

// New makes a manager of drivers; mechanisms are tried in the given order.
func New(cfg Config, types []Type, mechanisms []Mechanism) *Manager {
	m := &Manager{cfg: cfg, types: make(map[string]Type, len(types)), mechanisms: mechanisms}
	for _, t := range types {
		m.types[t.Name()] = t
	}
	return m
}

// Segments settles the segments of a new network: those asked for in its
// provider attributes or its list of segments, or one of a tenant type. It sets
// n.Provider if there is one segment and n.Segments if there are several.
func (m *Manager) Segments(tx *store.Tx, n *weft.Network) error {
	asked, err := m.asked(n)
	if err != nil {
		return err
	}
	var got []weft.Provider
	for _, p := range asked {
		p, err := m.reserve(tx, n.ProjectID, p)
		if err != nil {
			return err
		}
		got = append(got, p)
	}
	if len(asked) == 0 {
		p, err := m.allocate(tx, n)
		if err != nil {
			return err
		}
		got = append(got, p)
	}
	setSegments(n, got)
	return nil
}

func set(p *weft.Provider) bool {
	return p != nil && (p.NetworkType != "" || p.PhysicalNetwork != "" || p.SegmentationID != nil)
}

func (m *Manager) asked(n *weft.Network) ([]weft.Provider, error) {
	switch {
	case len(n.Segments) > 0 && set(n.Provider):
		return nil, weft.Errorf(weft.BadRequest, "SegmentsSetInConjunctionWithProviders", "Segments and provider values cannot both be set.")
	case len(n.Segments) == 0 && !set(n.Provider):
		return nil, nil
	case len(n.Segments) == 0:
		return []weft.Provider{*n.Provider}, nil
	}
	for i, p := range n.Segments {
		if slices.ContainsFunc(n.Segments[:i], func(q weft.Provider) bool { return p.Same(q) && p.SegmentationID != nil }) {
			return nil, weft.Errorf(weft.BadRequest, "SegmentsContainDuplicateEntry", "Duplicate segment entry in request.")
		}
	}
	return n.Segments, nil
}

func (m *Manager) reserve(tx *store.Tx, project string, p weft.Provider) (weft.Provider, error) {
	if p.NetworkType == "" {
		return p, weft.Invalid("network_type required")
	}
	t := m.types[p.NetworkType]
	if t == nil {
		return p, weft.Invalid("network_type value '%s' not supported", p.NetworkType)
	}
	if err := t.Validate(p); err != nil {
		return p, err
	}
	return t.Reserve(tx, project, p)
}

func (m *Manager) allocate(tx *store.Tx, n *weft.Network) (weft.Provider, error) {
	names := m.cfg.TenantTypes
	if n.External && m.cfg.ExternalType != "" {
		names = []string{m.cfg.ExternalType}
	}
	for _, name := range names {
		t := m.types[name]
		if t == nil {
			continue
		}
		p, ok, err := t.Allocate(tx, n.ProjectID)
		if err != nil || ok {
			return p, err
		}
	}
	return weft.Provider{}, NoneFree()
}

// AddSegment reserves a further segment for a network, which must carry the
// network's MTU, and adds it to the network's. A network has one segment of a type on
// a physical network: what leaves the choice to us, where that is taken, is on none,
// as in Neutron.
func (m *Manager) AddSegment(tx *store.Tx, n *weft.Network, p weft.Provider) (weft.Provider, error) {
	chosen := p.PhysicalNetwork != ""
	p, err := m.reserve(tx, n.ProjectID, p)
	if err != nil {
		return p, err
	}
	all := n.AllSegments()
	if !chosen && slices.ContainsFunc(all, p.Beside) {
		p.PhysicalNetwork = ""
	}
	setSegments(n, append(all, p))
	return p, m.MTU(n)
}

// RemoveSegment takes a segment from a network.
func RemoveSegment(n *weft.Network, p weft.Provider) {
	setSegments(n, slices.DeleteFunc(slices.Clone(n.AllSegments()), p.Same))
}

func setSegments(n *weft.Network, all []weft.Provider) {
	n.Provider, n.Segments = nil, nil
	if len(all) == 1 {
		n.Provider = &all[0]
	} else {
		n.Segments = all
	}
}

// HasType reports whether there are networks of the type.
func (m *Manager) HasType(name string) bool { return m.types[name] != nil }

// Reached is those of a network's segments that a host can carry, by any driver.
func (m *Manager) Reached(tx *store.Tx, host string, segments []weft.Provider) ([]weft.Provider, error) {
	var out []weft.Provider
	for _, s := range segments {
		for _, mech := range m.mechanisms {
			ok, err := mech.Reaches(tx, host, s)
			if err != nil {
				return nil, err
			}
			if ok {
				out = append(out, s)
				break
			}
		}
	}
	return out, nil
}

// Resegment moves a network of one VLAN segment to another VLAN id; any other
// change of provider attributes is refused, as in Neutron.
func (m *Manager) Resegment(tx *store.Tx, old, n *weft.Network) error {
	if slices.EqualFunc(old.AllSegments(), n.AllSegments(), weft.Provider.Same) {
		return nil
	}
	if old.Provider == nil || n.Provider == nil || !slices.EqualFunc(old.Segments, n.Segments, weft.Provider.Same) {
		return unsupportedUpdate()
	}
	switch {
	case n.NetworkType != old.NetworkType || n.PhysicalNetwork != old.PhysicalNetwork || n.SegmentationID == nil:
		return unsupportedUpdate()
	case n.NetworkType != weft.TypeVLAN:
		return weft.Invalid("Only VLAN type networks can be updated.")
	}
	p, err := m.reserve(tx, n.ProjectID, *n.Provider)
	if err != nil {
		return err
	}
	n.Provider = &p
	return nil
}

func unsupportedUpdate() error {
	return weft.Invalid("Plugin does not support updating the following provider network attributes: provider:network_type, provider:physical_network")
}
