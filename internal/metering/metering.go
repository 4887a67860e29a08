// Package metering keeps which traffic of routers is counted.
package metering

import (
	"errors"
	"net/netip"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// Service carries out changes of metering labels and rules.
type Service struct{}

// CreateLabel stores a label.
func (Service) CreateLabel(tx *store.Tx, l *weft.MeteringLabel) error {
	return store.MeteringLabels.Insert(tx, l)
}

// DeleteLabel removes a label with its rules.
func (Service) DeleteLabel(tx *store.Tx, l *weft.MeteringLabel) error {
	rules, err := store.MeteringLabelRules.Find(tx, store.Eq("metering_label_id", l.ID))
	if err != nil {
		return err
	}
	for _, r := range rules {
		if err := store.MeteringLabelRules.Delete(tx, r); err != nil {
			return err
		}
	}
	return store.MeteringLabels.Delete(tx, l)
}

// CreateRule stores a rule of a label; the rule belongs to the label's project.
// Errors: MeteringLabelNotFound; Invalid for prefixes that are none, or that do not
// go together; MeteringLabelRuleOverlaps.
func (Service) CreateRule(tx *store.Tx, r *weft.MeteringLabelRule) error {
	if err := prefixes(r); err != nil {
		return err
	}
	label, err := store.MeteringLabels.Get(tx, r.MeteringLabelID)
	if err != nil {
		return err
	}
	if err := overlap(tx, r); err != nil {
		return err
	}
	r.ProjectID = label.ProjectID
	return store.MeteringLabelRules.Insert(tx, r)
}

// DeleteRule removes a rule.
func (Service) DeleteRule(tx *store.Tx, r *weft.MeteringLabelRule) error {
	return store.MeteringLabelRules.Delete(tx, r)
}

// invalid is Neutron's error of this name. There it comes with status 500, which
// says that the server is at fault; it is the request.
func invalid(format string, args ...any) error {
	return weft.Errorf(weft.BadRequest, "Invalid", format, args...)
}

// prefixes checks and normalises the prefixes of a rule.
func prefixes(r *weft.MeteringLabelRule) error {
	given := 0
	for _, p := range []struct {
		name string
		text *weft.ID
	}{{"remote_ip_prefix", &r.RemoteIPPrefix}, {"source_ip_prefix", &r.SourceIPPrefix}, {"destination_ip_prefix", &r.DestinationIPPrefix}} {
		if *p.text == "" {
			continue
		}
		given++
		prefix, err := parse(string(*p.text))
		if err != nil {
			return invalid("%s: %s is invalid ['%s' does not appear to be an IPv4 or IPv6 interface].", p.name, *p.text, *p.text)
		}
		*p.text = weft.ID(prefix.String())
	}
	switch {
	case given == 0:
		return invalid("You must define at least one of the following parameters 'remote_ip_prefix', or 'source_ip_prefix' or 'destination_ip_prefix'.")
	case given > 1 && r.RemoteIPPrefix != "":
		return invalid("Cannot use 'remote-ip-prefix' in conjunction with 'source-ip-prefix' or 'destination-ip-prefix'.")
	}
	return nil
}

// parse reads a prefix or an address, which is a prefix of its own.
func parse(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		if a.Zone() != "" {
			return netip.Prefix{}, errors.New("an address with a zone is no prefix")
		}
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.ParsePrefix(s)
}

// overlap refuses a second rule of a label for the same remote addresses.
func overlap(tx *store.Tx, r *weft.MeteringLabelRule) error {
	if r.RemoteIPPrefix == "" {
		return nil
	}
	mine, err := netip.ParsePrefix(string(r.RemoteIPPrefix))
	if err != nil {
		return err
	}
	excluded := map[bool]int{true: 1}[r.Excluded]
	others, err := store.MeteringLabelRules.Find(tx, store.Eq("metering_label_id", r.MeteringLabelID), store.Eq("direction", r.Direction), store.Eq("excluded", excluded))
	if err != nil {
		return err
	}
	for _, o := range others {
		if p, err := netip.ParsePrefix(string(o.RemoteIPPrefix)); err == nil && p.Overlaps(mine) {
			return weft.Errorf(weft.Conflict, "MeteringLabelRuleOverlaps", "Metering label rule with remote_ip_prefix '%s' overlaps another.", r.RemoteIPPrefix)
		}
	}
	return nil
}
