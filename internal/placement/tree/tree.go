// Package tree says which resource providers Placement must have for an agent. It is
// a function of what the agent reports about itself; names, ids, classes and traits are
// those of Neutron, so that Placement looks the same whichever of the two fills it.
//
// Below the provider that Nova makes for a hypervisor is one for the agent, which has
// the packet rate of the host, and below that one for each physical interface, which
// has bandwidth. A port's minimum bandwidth is taken from the interface on its physical
// network: that is what the traits are for.
package tree

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/weftnet/weft"
)

// Kind is a kind of agent whose hosts have providers.
type Kind struct {
	AgentType string
	Namespace uuid.UUID // of the ids of its providers
	VNICTypes []string  // of ports that it carries
}

// Provider is a resource provider as it has to be.
type Provider struct {
	UUID        string
	Name        string
	Hypervisor  string               // the name of the provider that Nova makes, above it
	Agent       string               // the uuid of the agent's provider, which it is below; "": it is that itself
	Physnet     string               // of a physical interface
	Inventories map[string]Inventory // by class
	Traits      []string             // sorted
}

// Inventory is how much there is of a class, and how it is given.
type Inventory struct {
	Total           int64   `json:"total"`
	Reserved        int64   `json:"reserved"`
	MinUnit         int64   `json:"min_unit"`
	MaxUnit         int64   `json:"max_unit"`
	StepSize        int64   `json:"step_size"`
	AllocationRatio float64 `json:"allocation_ratio"`
}

// usual is what Placement takes where nothing is said.
var usual = Inventory{MinUnit: 1, MaxUnit: 1<<31 - 1, StepSize: 1, AllocationRatio: 1}

// Of is the providers of an agent, those of agents before those of their interfaces,
// and none where it reports neither bandwidth nor packet rate. The error says what in
// the report does not fit together.
func Of(k Kind, configurations map[string]any) ([]Provider, error) {
	r, err := read(configurations)
	if err != nil {
		return nil, err
	}
	physnets := r.physnets()
	rates := r.rates()
	agents := map[string]*Provider{} // by hypervisor
	agent := func(hypervisor string) *Provider {
		p := agents[hypervisor]
		if p == nil {
			p = &Provider{UUID: k.id(hypervisor), Name: hypervisor + ":" + k.AgentType, Hypervisor: hypervisor,
				Traits: k.traits(), Inventories: map[string]Inventory{}}
			agents[hypervisor] = p
		}
		return p
	}
	var devices []Provider
	for _, device := range slices.Sorted(maps.Keys(r.Bandwidths)) {
		physnet, known := physnets[device]
		hypervisor := r.Hypervisors[device]
		if !known || hypervisor == "" {
			return nil, fmt.Errorf("resource_provider_bandwidths has %s, which is on no physical network", device)
		}
		devices = append(devices, Provider{UUID: k.id(hypervisor + ":" + device), Name: hypervisor + ":" + k.AgentType + ":" + device,
			Hypervisor: hypervisor, Agent: agent(hypervisor).UUID, Physnet: physnet, Traits: k.traits(weft.PhysnetTrait(physnet)),
			Inventories: inventories(r.Bandwidths[device], r.BandwidthDefaults, weft.BandwidthClass)})
	}
	for hypervisor, amounts := range rates {
		agent(hypervisor).Inventories = inventories(amounts, r.RateDefaults, weft.PacketRateClass)
	}
	var out []Provider
	for _, hypervisor := range slices.Sorted(maps.Keys(agents)) {
		out = append(out, *agents[hypervisor])
	}
	return append(out, devices...), nil
}

// Gives reports whether all that a port has been allocated, providers by what they are
// for, is of the agent, and what is of a physical interface is on the physical network.
// A port that has been allocated nothing may be anywhere.
func (k Kind) Gives(configurations map[string]any, allocation map[string]string, physnet string) bool {
	if len(allocation) == 0 {
		return true
	}
	providers, err := Of(k, configurations)
	if err != nil {
		return false
	}
	for _, id := range allocation {
		if !slices.ContainsFunc(providers, func(p Provider) bool {
			return p.UUID == id && (p.Agent == "" || p.Physnet == physnet)
		}) {
			return false
		}
	}
	return true
}

// id is that of the agent's provider on a hypervisor, or of HYPERVISOR:DEVICE.
func (k Kind) id(name string) string { return uuid.NewSHA1(k.Namespace, []byte(name)).String() }

// traits are those of all providers of the kind, and more.
func (k Kind) traits(more ...string) []string {
	for _, t := range k.VNICTypes {
		more = append(more, weft.VNICTypeTrait(t))
	}
	slices.Sort(more)
	return slices.Compact(more)
}

// inventories are of the amounts by direction; of what there is nothing there is none.
func inventories(amounts map[string]*int64, defaults Inventory, class func(string) string) map[string]Inventory {
	out := map[string]Inventory{}
	for direction, total := range amounts {
		if total != nil && *total > 0 {
			i := defaults
			i.Total = *total
			out[class(direction)] = i
		}
	}
	return out
}

// report is what agents say of themselves, as Neutron's do.
type report struct {
	Bandwidths        map[string]map[string]*int64 `json:"resource_provider_bandwidths"` // by device and direction
	Hypervisors       map[string]string            `json:"resource_provider_hypervisors"`
	Rates             map[string]map[string]*int64 `json:"resource_provider_packet_processing_without_direction"`
	DirectedRates     map[string]map[string]*int64 `json:"resource_provider_packet_processing_with_direction"`
	BandwidthDefaults Inventory                    `json:"resource_provider_inventory_defaults"`
	RateDefaults      Inventory                    `json:"resource_provider_packet_processing_inventory_defaults"`
	Interfaces        map[string]devices           `json:"interface_mappings"` // by physical network
	Bridges           map[string]devices           `json:"bridge_mappings"`
	Devices           map[string]devices           `json:"device_mappings"`
}

// devices is one name, or a list of them.
type devices []string

// UnmarshalJSON implements json.Unmarshaler.
func (d *devices) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*d = devices{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(d))
}

func read(configurations map[string]any) (*report, error) {
	r := &report{BandwidthDefaults: usual, RateDefaults: usual}
	text, err := json.Marshal(configurations)
	if err == nil {
		err = json.Unmarshal(text, r)
	}
	if err != nil {
		return nil, fmt.Errorf("reading what the agent reports: %w", err)
	}
	return r, nil
}

// physnets are the physical networks of all devices.
func (r *report) physnets() map[string]string {
	out := map[string]string{}
	for _, mappings := range []map[string]devices{r.Interfaces, r.Bridges, r.Devices} {
		for physnet, list := range mappings {
			for _, device := range list {
				out[device] = physnet
			}
		}
	}
	return out
}

// rates are the packet rates by hypervisor: without directions if there are any so.
func (r *report) rates() map[string]map[string]*int64 {
	if len(r.Rates) > 0 {
		return r.Rates
	}
	return r.DirectedRates
}
