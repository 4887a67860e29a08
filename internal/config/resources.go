package config

import (
	"fmt"
	"strconv"
	"strings"
)

// Resources is what of this host servers can be given, in Placement.
type Resources struct {
	Bandwidths        map[string]Amount // of interfaces, in kbit/s
	Hypervisors       map[string]string // of interfaces, where it is another than Hypervisor
	Hypervisor        string            // as Nova knows this host; "": its canonical name
	Rates             map[string]Amount // of hypervisors, "" is this host; in 1000 packets/s
	DirectedRates     map[string]Amount // the same, where directions do not share it
	BandwidthDefaults Inventory
	RateDefaults      Inventory
}

// Amount is what there is for the traffic of instances in each direction, or for both
// together; nil: nothing is said of it.
type Amount struct{ Egress, Ingress, Any *int64 }

// Inventory is how what there is may be given, by Placement's names.
type Inventory map[string]float64

// Any reports whether there is anything.
func (r Resources) Any() bool { return len(r.Bandwidths)+len(r.Rates)+len(r.DirectedRates) > 0 }

// check says what does not fit together.
func (c Config) checkResources() error {
	r := c.Resources
	if len(r.Rates) > 0 && len(r.DirectedRates) > 0 {
		return fmt.Errorf("resource_provider_packet_processing_with_direction and ..._without_direction exclude each other")
	}
	known := map[string]bool{}
	for _, dev := range c.Physnets {
		known[dev] = true
	}
	for dev := range r.Bandwidths {
		if !known[dev] && len(known) > 0 {
			return fmt.Errorf("resource_provider_bandwidths: %s is missing from physical_interface_mappings", dev)
		}
	}
	return nil
}

// amounts reads NAME:AMOUNT:..., where the last amounts may be missing, and any empty.
func amounts(set ...func(*Amount) **int64) func(string) (map[string]Amount, error) {
	return func(s string) (map[string]Amount, error) {
		parts, err := list(s)
		if err != nil {
			return nil, err
		}
		out := map[string]Amount{}
		for _, part := range parts {
			name, rest, given := strings.Cut(part, ":")
			if _, twice := out[name]; twice {
				return nil, fmt.Errorf("%q is listed twice", name)
			}
			var a Amount
			if values := strings.Split(rest, ":"); given {
				if len(values) != len(set) {
					return nil, fmt.Errorf("%q does not have %d values", part, len(set)+1)
				}
				for i, v := range values {
					if *set[i](&a), err = amount(v); err != nil {
						return nil, fmt.Errorf("%s: %w", part, err)
					}
				}
			}
			out[name] = a
		}
		return out, nil
	}
}

// amount is nil for none.
func amount(s string) (*int64, error) {
	if s == "" {
		return nil, nil
	}
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < 0 {
		return nil, fmt.Errorf("%q is not an amount", s)
	}
	return &n, nil
}

var (
	directed = []func(*Amount) **int64{
		func(a *Amount) **int64 { return &a.Egress }, func(a *Amount) **int64 { return &a.Ingress }}
	together = func(a *Amount) **int64 { return &a.Any }
)

// inventory is NAME:NUMBER, ... All numbers but the ratio are whole ones.
func inventory(s string) (Inventory, error) {
	values, err := mapping(func(s string) (float64, error) {
		n, err := strconv.ParseFloat(s, 64)
		if err != nil || !(n >= 0 && n <= 1<<31) {
			return 0, fmt.Errorf("%q is not a number that an inventory has", s)
		}
		return n, nil
	})(s)
	if err != nil {
		return nil, err
	}
	for name, n := range values {
		switch name {
		case "allocation_ratio":
		case "max_unit", "min_unit", "reserved", "step_size":
			if n != float64(int64(n)) {
				return nil, fmt.Errorf("%s has to be a whole number", name)
			}
		default:
			return nil, fmt.Errorf("%s is none of allocation_ratio, max_unit, min_unit, reserved, step_size", name)
		}
	}
	return values, nil
}

// resources is what this host tells of itself.
func resources() []option {
	const section, defaults = "linux_bridge", "allocation_ratio:1.0,min_unit:1,step_size:1,reserved:0"
	r := func(c *Config) *Resources { return &c.Resources }
	return []option{
		{section, "resource_provider_bandwidths", "", read(func(c *Config) *map[string]Amount { return &r(c).Bandwidths },
			amounts(directed...)),
			`What the interfaces of physical_interface_mappings carry for servers, in kbit/s, as
INTERFACE:EGRESS:INGRESS, ... seen from the servers; a direction may be empty. Placement
has it given to ports with a minimum bandwidth: see [placement]. Empty: there is none.`},
		{section, "resource_provider_hypervisors", "", read(func(c *Config) *map[string]string { return &r(c).Hypervisors },
			mapping(text)),
			`Interfaces that belong to another hypervisor than
resource_provider_default_hypervisor, as INTERFACE:HYPERVISOR, ...`},
		{section, "resource_provider_default_hypervisor", "", read(func(c *Config) *string { return &r(c).Hypervisor }, text),
			`This host's name in "openstack hypervisor list". Empty: its canonical name.`},
		{section, "resource_provider_packet_processing_without_direction", "",
			read(func(c *Config) *map[string]Amount { return &r(c).Rates }, amounts(together)),
			`What this host forwards for servers in both directions together, in 1000 packets/s,
as HYPERVISOR:RATE, ... or :RATE for that of resource_provider_default_hypervisor.`},
		{section, "resource_provider_packet_processing_with_direction", "",
			read(func(c *Config) *map[string]Amount { return &r(c).DirectedRates }, amounts(directed...)),
			`The same as HYPERVISOR:EGRESS:INGRESS, ... where the directions do not share it. One
of the two can be given.`},
		{section, "resource_provider_inventory_defaults", defaults,
			read(func(c *Config) *Inventory { return &r(c).BandwidthDefaults }, inventory),
			`How bandwidth may be given: allocation_ratio, max_unit, min_unit, reserved and
step_size of Placement's inventories, as NAME:NUMBER, ...`},
		{section, "resource_provider_packet_processing_inventory_defaults", defaults,
			read(func(c *Config) *Inventory { return &r(c).RateDefaults }, inventory),
			`How packet rate may be given, likewise.`},
	}
}
