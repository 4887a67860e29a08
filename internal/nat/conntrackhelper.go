package nat

import (
	"slices"
	"strings"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// helpers are the connection tracking helpers of the kernel, with the protocols
// they understand.
func helpers() map[string][]string {
	return map[string][]string{
		"amanda": {"tcp"}, "ftp": {"tcp"}, "h323": {"udp", "tcp"}, "irc": {"tcp"}, "netbios-ns": {"udp"}, "pptp": {"tcp"},
		"sane": {"tcp"}, "sip": {"udp", "tcp"}, "snmp": {"udp"}, "tftp": {"udp"},
	}
}

// CreateHelper stores a new helper of a router. Errors: ConntrackHelperNotAllowed,
// InvalidProtocolForHelper; BadRequest for one that is there already.
func (s *Service) CreateHelper(tx *store.Tx, h *weft.ConntrackHelper) error {
	if err := checkHelper(tx, h); err != nil {
		return err
	}
	return store.ConntrackHelpers.Insert(tx, h)
}

// UpdateHelper stores a changed helper. Errors: as for a new one.
func (s *Service) UpdateHelper(tx *store.Tx, h *weft.ConntrackHelper) error {
	if err := checkHelper(tx, h); err != nil {
		return err
	}
	return store.ConntrackHelpers.Update(tx, h)
}

// DeleteHelper removes a helper.
func (s *Service) DeleteHelper(tx *store.Tx, h *weft.ConntrackHelper) error {
	return store.ConntrackHelpers.Delete(tx, h)
}

func checkHelper(tx *store.Tx, h *weft.ConntrackHelper) error {
	protocols := helpers()[h.Helper]
	if len(protocols) == 0 {
		return weft.Errorf(weft.BadRequest, "ConntrackHelperNotAllowed", "Conntrack Helper %s is not allowed.", h.Helper)
	}
	if !slices.Contains(protocols, h.Protocol) {
		return weft.Errorf(weft.BadRequest, "InvalidProtocolForHelper", "Conntrack Helper %s does not support: %s. Supported protocols are: %s",
			h.Helper, h.Protocol, strings.Join(protocols, ", "))
	}
	same, err := store.ConntrackHelpers.Find(tx, store.Eq("router_id", h.RouterID), store.Eq("protocol", h.Protocol),
		store.Eq("port", h.Port), store.Eq("helper", h.Helper))
	if err == nil && slices.ContainsFunc(same, func(o *weft.ConntrackHelper) bool { return o.ID != h.ID }) {
		err = bad("conntrack_helper", "A duplicate conntrack helper entry with same attributes already exists, conflicting values are "+
			"{'router_id': '%s', 'protocol': '%s', 'port': %d, 'helper': '%s'}", h.RouterID, h.Protocol, h.Port, h.Helper)
	}
	return err
}
