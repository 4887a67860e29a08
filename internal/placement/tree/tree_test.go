package tree_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/weftnet/weft/internal/placement/tree"
)

// The namespaces are those of Neutron's drivers.
var (
	openvswitch = tree.Kind{AgentType: "Open vSwitch agent", Namespace: uuid.MustParse("87ee7d5c-73bb-11e8-9008-c4d987b2a692"),
		VNICTypes: []string{"normal", "direct"}}
	sriov = tree.Kind{AgentType: "NIC Switch agent", Namespace: uuid.MustParse("87f1895c-73bb-11e8-9008-c4d987b2a692"),
		VNICTypes: []string{"direct", "macvtap"}}
)

// ids are as python3-neutron-lib 3.1 computes them.
var ids = map[string]string{
	"AGENT":  "4d87e232-417a-5919-b34b-eb83699e2d3c",
	"DEVICE": "af9f0bf8-d3be-54eb-8e31-06334a079489",
	"ONE":    "147d7d53-4bd4-578a-91f9-4d14d971f05b",
	"TWO":    "0d373cc6-d709-5503-bb5f-f0f58da9a0e2",
	"ONE:E1": "a3caa280-d9f3-5012-bc5e-00c5643a9117",
	"TWO:E2": "2e97fcaf-6d8d-5cfe-857b-bc8475328a89",
}

func inventory(total int64) tree.Inventory {
	return tree.Inventory{Total: total, MinUnit: 1, MaxUnit: 1<<31 - 1, StepSize: 1, AllocationRatio: 1}
}

func TestOf(t *testing.T) {
	doubled := inventory(2000)
	doubled.AllocationRatio, doubled.Reserved, doubled.MaxUnit = 2, 10, 500
	for _, c := range []struct {
		name string
		kind tree.Kind
		conf string
		want []tree.Provider
		err  string
	}{
		{name: "an agent that reports nothing", kind: openvswitch, conf: `{"bridge_mappings": {"provider": "br0"}}`},
		{name: "bandwidth", kind: openvswitch, conf: `{"bridge_mappings": {"provider net": "br0"},
			"resource_provider_bandwidths": {"br0": {"egress": 1000, "ingress": 2000}},
			"resource_provider_hypervisors": {"br0": "host1"}}`,
			want: []tree.Provider{
				{UUID: "AGENT", Name: "host1:Open vSwitch agent", Hypervisor: "host1", Inventories: map[string]tree.Inventory{},
					Traits: []string{"CUSTOM_VNIC_TYPE_DIRECT", "CUSTOM_VNIC_TYPE_NORMAL"}},
				{UUID: "DEVICE", Name: "host1:Open vSwitch agent:br0", Hypervisor: "host1", Agent: "AGENT", Physnet: "provider net",
					Traits: []string{"CUSTOM_PHYSNET_PROVIDER_NET", "CUSTOM_VNIC_TYPE_DIRECT", "CUSTOM_VNIC_TYPE_NORMAL"},
					Inventories: map[string]tree.Inventory{
						"NET_BW_EGR_KILOBIT_PER_SEC": inventory(1000), "NET_BW_IGR_KILOBIT_PER_SEC": inventory(2000)}},
			}},
		{name: "one direction, defaults, several devices of two hypervisors", kind: sriov,
			conf: `{"device_mappings": {"a": ["e1", "e2"]},
			"resource_provider_bandwidths": {"e2": {"egress": 2000, "ingress": null}, "e1": {"egress": 0, "ingress": 0}},
			"resource_provider_inventory_defaults": {"allocation_ratio": 2.0, "reserved": 10, "max_unit": 500},
			"resource_provider_hypervisors": {"e1": "one", "e2": "two"}}`,
			want: []tree.Provider{
				{UUID: "ONE", Name: "one:NIC Switch agent", Hypervisor: "one", Inventories: map[string]tree.Inventory{},
					Traits: []string{"CUSTOM_VNIC_TYPE_DIRECT", "CUSTOM_VNIC_TYPE_MACVTAP"}},
				{UUID: "TWO", Name: "two:NIC Switch agent", Hypervisor: "two", Inventories: map[string]tree.Inventory{},
					Traits: []string{"CUSTOM_VNIC_TYPE_DIRECT", "CUSTOM_VNIC_TYPE_MACVTAP"}},
				{UUID: "ONE:E1", Name: "one:NIC Switch agent:e1", Hypervisor: "one", Agent: "ONE", Physnet: "a",
					Inventories: map[string]tree.Inventory{},
					Traits:      []string{"CUSTOM_PHYSNET_A", "CUSTOM_VNIC_TYPE_DIRECT", "CUSTOM_VNIC_TYPE_MACVTAP"}},
				{UUID: "TWO:E2", Name: "two:NIC Switch agent:e2", Hypervisor: "two", Agent: "TWO", Physnet: "a",
					Traits:      []string{"CUSTOM_PHYSNET_A", "CUSTOM_VNIC_TYPE_DIRECT", "CUSTOM_VNIC_TYPE_MACVTAP"},
					Inventories: map[string]tree.Inventory{"NET_BW_EGR_KILOBIT_PER_SEC": doubled}},
			}},
		{name: "packet rate, and no bandwidth", kind: openvswitch, conf: `{"bridge_mappings": {},
			"resource_provider_packet_processing_without_direction": {"host1": {"any": 300}}}`,
			want: []tree.Provider{{UUID: "AGENT", Name: "host1:Open vSwitch agent", Hypervisor: "host1",
				Traits:      []string{"CUSTOM_VNIC_TYPE_DIRECT", "CUSTOM_VNIC_TYPE_NORMAL"},
				Inventories: map[string]tree.Inventory{"NET_PACKET_RATE_KILOPACKET_PER_SEC": inventory(300)}}}},
		{name: "packet rate by direction", kind: openvswitch, conf: `{
			"resource_provider_packet_processing_without_direction": {},
			"resource_provider_packet_processing_with_direction": {"host1": {"egress": 1, "ingress": 2}}}`,
			want: []tree.Provider{{UUID: "AGENT", Name: "host1:Open vSwitch agent", Hypervisor: "host1",
				Traits: []string{"CUSTOM_VNIC_TYPE_DIRECT", "CUSTOM_VNIC_TYPE_NORMAL"},
				Inventories: map[string]tree.Inventory{
					"NET_PACKET_RATE_EGR_KILOPACKET_PER_SEC": inventory(1), "NET_PACKET_RATE_IGR_KILOPACKET_PER_SEC": inventory(2)}}}},
		{name: "a device on no physical network", kind: openvswitch,
			conf: `{"bridge_mappings": {}, "resource_provider_bandwidths": {"br9": {}}}`,
			err:  "resource_provider_bandwidths has br9, which is on no physical network"},
		{name: "nonsense", kind: openvswitch, conf: `{"resource_provider_bandwidths": 7}`,
			err: "reading what the agent reports: json: cannot unmarshal number into Go struct field " +
				"report.resource_provider_bandwidths of type map[string]map[string]*int64"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var conf map[string]any
			if err := json.Unmarshal([]byte(c.conf), &conf); err != nil {
				t.Fatal(err)
			}
			got, err := tree.Of(c.kind, conf)
			if err != nil && err.Error() != c.err || err == nil && c.err != "" {
				t.Fatalf("error %v, want %q", err, c.err)
			}
			for i := range c.want {
				c.want[i].UUID, c.want[i].Agent = ids[c.want[i].UUID], ids[c.want[i].Agent]
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}
