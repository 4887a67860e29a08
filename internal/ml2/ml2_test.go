package ml2

import "testing"

func TestMTU(t *testing.T) {
	for _, tc := range []struct {
		name   string
		mtu    MTU
		vxlan  int
		phys   int
		global int
	}{
		{"defaults", MTU{}, 1450, 1500, 1500},
		{"over IPv6", MTU{IPv6: true}, 1430, 1500, 1500},
		{"jumbo", MTU{Global: 9000, Physical: map[string]int{"a": 4000}}, 8950, 4000, 9000},
		{"narrow path", MTU{Global: 9000, Path: 1400}, 1350, 9000, 9000},
		{"physnet above global", MTU{Physical: map[string]int{"a": 9000}}, 1450, 1500, 1500},
	} {
		if got := tc.mtu.Tunnel(30); got != tc.vxlan {
			t.Errorf("%s: vxlan %d, want %d", tc.name, got, tc.vxlan)
		}
		if got := tc.mtu.Physnet("a"); got != tc.phys {
			t.Errorf("%s: physnet %d, want %d", tc.name, got, tc.phys)
		}
		if got := tc.mtu.global(); got != tc.global {
			t.Errorf("%s: global %d, want %d", tc.name, got, tc.global)
		}
	}
}

func TestParseRange(t *testing.T) {
	for _, tc := range []struct {
		text string
		want Range
		ok   bool
	}{{"1:1000", Range{1, 1000}, true}, {" 7 : 7 ", Range{7, 7}, true}, {"7", Range{}, false}, {"9:3", Range{}, false}, {"0:3", Range{}, false}, {"a:3", Range{}, false}} {
		got, err := ParseRange(tc.text)
		if (err == nil) != tc.ok || tc.ok && got != tc.want {
			t.Errorf("%q: %v %v", tc.text, got, err)
		}
	}
}
