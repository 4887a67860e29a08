package core

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/sharing"
	"github.com/weftnet/weft/internal/store"
)

func segid(n int64) *int64 { return &n }

func TestCreateNetwork(t *testing.T) {
	b := newBench(t)
	flat := &weft.Network{Provider: &weft.Provider{NetworkType: "flat", PhysicalNetwork: "provider"}}
	if err := b.createNetwork(flat); err != nil {
		t.Fatal(err)
	}
	vxlan := &weft.Network{Provider: &weft.Provider{NetworkType: "vxlan", SegmentationID: segid(5000)}}
	if err := b.createNetwork(vxlan); err != nil {
		t.Fatal(err)
	}
	tagged := &weft.Network{Provider: &weft.Provider{NetworkType: "vlan", PhysicalNetwork: "provider", SegmentationID: segid(7)}}
	if err := b.createNetwork(tagged); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name         string
		net          weft.Network
		typ, message string
	}{
		{"no type", weft.Network{Provider: &weft.Provider{PhysicalNetwork: "provider"}}, "InvalidInput", "Invalid input for operation: network_type required."},
		{"bad type", weft.Network{Provider: &weft.Provider{NetworkType: "token"}}, "InvalidInput", "Invalid input for operation: network_type value 'token' not supported."},
		{"flat twice", weft.Network{Provider: &weft.Provider{NetworkType: "flat", PhysicalNetwork: "provider"}}, "FlatNetworkInUse",
			"Unable to create the flat network. Physical network provider is in use."},
		{"flat unknown", weft.Network{Provider: &weft.Provider{NetworkType: "flat", PhysicalNetwork: "x"}}, "InvalidInput",
			"Invalid input for operation: physical_network 'x' unknown for flat provider network."},
		{"VNI taken", weft.Network{Provider: &weft.Provider{NetworkType: "vxlan", SegmentationID: segid(5000)}}, "TunnelIdInUse",
			"Unable to create the network. The tunnel ID 5000 is in use."},
		{"tag taken", weft.Network{Provider: &weft.Provider{NetworkType: "vlan", PhysicalNetwork: "provider", SegmentationID: segid(7)}}, "VlanIdInUse",
			"Unable to create the network. The VLAN 7 on physical network provider is in use."},
		{"MTU", weft.Network{MTU: 1451}, "InvalidInput", "Invalid input for operation: Requested MTU is too big, maximum is 1450."},
		{"zone", weft.Network{AvailabilityZoneHints: []string{"mars"}}, "AvailabilityZoneNotFound", "AvailabilityZone mars could not be found."},
		{"segments and provider", weft.Network{Provider: &weft.Provider{NetworkType: "vxlan"}, Segments: []weft.Provider{{NetworkType: "local"}}},
			"SegmentsSetInConjunctionWithProviders", ""},
		{"doubled segment", weft.Network{Segments: []weft.Provider{{NetworkType: "vxlan", SegmentationID: segid(9)}, {NetworkType: "vxlan", SegmentationID: segid(9)}}},
			"SegmentsContainDuplicateEntry", "Duplicate segment entry in request."},
		{"two segments", weft.Network{Segments: []weft.Provider{{NetworkType: "vxlan", SegmentationID: segid(9)}, {NetworkType: "vlan", PhysicalNetwork: "provider"}}}, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) { wantRefusal(t, b.createNetwork(&tc.net), tc.typ, tc.message) })
	}
	if got := b.network(); got.NetworkType != "vxlan" || *got.SegmentationID < 1 || *got.SegmentationID > 1000 || got.MTU != 1450 || got.Status != "ACTIVE" {
		t.Errorf("tenant network %+v %+v", got, got.Provider)
	}
}

func (b *bench) updateNetwork(id string, change func(*weft.Network), given ...string) (*weft.Network, error) {
	var n *weft.Network
	err := b.do(func(tx *store.Tx) error {
		old, err := store.Networks.Get(tx, id)
		if err != nil {
			return err
		}
		n = weft.Clone(old)
		change(n)
		return b.s.UpdateNetwork(tx, old, n, givenOf(given))
	})
	return n, err
}

func (b *bench) deleteNetwork(id string) error {
	return b.do(func(tx *store.Tx) error {
		n, err := store.Networks.Get(tx, id)
		if err != nil {
			return err
		}
		return b.s.DeleteNetwork(tx, n)
	})
}

func TestUpdateNetwork(t *testing.T) {
	b := newBench(t)
	n := b.network()
	_, err := b.updateNetwork(n.ID, func(n *weft.Network) { n.SegmentationID = segid(3000) }, "provider:segmentation_id")
	wantRefusal(t, err, "InvalidInput", "Invalid input for operation: Only VLAN type networks can be updated..")
	_, err = b.updateNetwork(n.ID, func(n *weft.Network) { n.MTU = 9000 }, "mtu")
	wantRefusal(t, err, "InvalidInput", "")
	got, err := b.updateNetwork(n.ID, func(n *weft.Network) { n.MTU = 1300 }, "mtu")
	if err != nil || got.MTU != 1300 || got.Revision != 2 {
		t.Errorf("%+v %v", got, err)
	}
	tagged := &weft.Network{Provider: &weft.Provider{NetworkType: "vlan", PhysicalNetwork: "provider", SegmentationID: segid(7)}}
	if err := b.createNetwork(tagged); err != nil {
		t.Fatal(err)
	}
	got, err = b.updateNetwork(tagged.ID, func(n *weft.Network) { n.SegmentationID = segid(8) }, "provider:segmentation_id")
	if err != nil || *got.SegmentationID != 8 {
		t.Errorf("%+v %v", got, err)
	}
}

func TestExternalAndShared(t *testing.T) {
	b := newBench(t)
	n := &weft.Network{External: true, IsDefault: new(true)}
	if err := b.createNetwork(n); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, b.createNetwork(&weft.Network{External: true, IsDefault: new(true)}), "DefaultExternalNetworkExists",
		"A default external network already exists: "+n.ID+".")
	policies := func() (out []string) {
		all, err := store.RBACPolicies.Find(b.db.Read(t.Context(), b.caller), store.Eq("object_id", n.ID))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range all {
			out = append(out, p.Action+" "+p.TargetTenant)
		}
		return out
	}
	if diff := cmp.Diff([]string{"access_as_external *"}, policies()); diff != "" {
		t.Error(diff)
	}
	b.port(&weft.Port{NetworkID: n.ID, DeviceOwner: weft.OwnerRouterGateway})
	_, err := b.updateNetwork(n.ID, func(n *weft.Network) { n.External = false }, "router:external")
	wantRefusal(t, err, "ExternalNetworkInUse", "External network "+n.ID+" cannot be updated to be made non-external, since it has existing gateway ports.")

	share := func(on bool) error {
		return b.do(func(tx *store.Tx) error { return sharing.Share(tx, "network", n.ID, on) })
	}
	for _, on := range []bool{true, true, false, true} {
		wantRefusal(t, share(on), "", "")
	}
	b.as(member("p2")).port(&weft.Port{NetworkID: n.ID})
	wantRefusal(t, share(false), "InvalidSharedSetting", "Unable to reconfigure sharing settings for network "+n.Name+". Multiple tenants are using it.")
	b.must(func(tx *store.Tx) error {
		return store.RBACPolicies.Insert(tx, &weft.RBACPolicy{ObjectType: "network", ObjectID: n.ID, Action: weft.AccessShared, TargetTenant: "p2"})
	})
	wantRefusal(t, share(false), "", "")
}

func TestDeleteNetwork(t *testing.T) {
	b := newBench(t)
	n := b.network()
	b.subnet(n, "10.0.0.0/24")
	p := b.port(&weft.Port{NetworkID: n.ID, HostID: "h1"})
	wantRefusal(t, b.deleteNetwork(n.ID), "NetworkInUse", "Unable to complete operation on network "+n.ID+
		". There are one or more ports still in use on the network, id for these ports is: "+p.ID+".")
	b.must(func(tx *store.Tx) error {
		p, err := store.Ports.Get(tx, p.ID)
		if err != nil {
			return err
		}
		return b.s.DeletePort(tx, p)
	})
	if got := len(b.ports()); got != 1 {
		t.Fatalf("%d ports left, want the DHCP port", got)
	}
	if err := b.deleteNetwork(n.ID); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"ports", "subnets", "networks", "segments", "ip_allocations", "rbac_policies"} {
		if n := b.count(table); n != 0 {
			t.Errorf("%d rows left in %s", n, table)
		}
	}
}

func (b *bench) count(table string) (n int) {
	b.t.Helper()
	if _, err := b.db.Read(b.t.Context(), b.caller).QueryRow("SELECT COUNT(*) FROM "+table, nil, &n); err != nil {
		b.t.Fatal(err)
	}
	return n
}

func TestSegmentsRunOut(t *testing.T) {
	b := newBench(t)
	seen := map[int64]bool{}
	for range 2 {
		n := &weft.Network{Provider: &weft.Provider{NetworkType: "vlan"}}
		if err := b.createNetwork(n); err != nil {
			t.Fatal(err)
		}
		seen[*n.SegmentationID] = true
	}
	if !seen[100] || !seen[101] {
		t.Errorf("tags %v", seen)
	}
	wantRefusal(t, b.createNetwork(&weft.Network{Provider: &weft.Provider{NetworkType: "vlan"}}), "NoNetworkAvailable",
		"Unable to create the network. No tenant network is available for allocation.")
}
