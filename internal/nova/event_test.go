package nova

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

const server = "6e8b1f0a-1111-4222-8333-444455556666"

func port(change func(*weft.Port)) *weft.Port {
	p := &weft.Port{Meta: weft.Meta{ID: "p"}, DeviceOwner: "compute:nova", DeviceID: server, Status: weft.StatusDown}
	if change != nil {
		change(p)
	}
	return p
}

func status(s string) *weft.Port { return port(func(p *weft.Port) { p.Status = s }) }

// entry is one of the log; nil is no document.
func entry(t interface{ Fatal(...any) }, noun string, before, after any) store.Change {
	c := store.Change{Seq: 1, Noun: noun, ID: "x", Op: store.OpUpdate}
	for doc, v := range map[*[]byte]any{&c.Before: before, &c.After: after} {
		if v == nil {
			continue
		}
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		*doc = b
	}
	switch {
	case before == nil:
		c.Op = store.OpCreate
	case after == nil:
		c.Op = store.OpDelete
	}
	return c
}

func fip(port string, change ...func(*weft.FloatingIP)) *weft.FloatingIP {
	f := &weft.FloatingIP{Meta: weft.Meta{ID: "f"}, PortID: weft.ID(port), Status: weft.StatusDown}
	for _, c := range change {
		c(f)
	}
	return f
}

func told(events []event) string {
	var words []string
	for _, e := range events {
		w := strings.TrimPrefix(e.Name, "network-") + " " + e.Tag + " of " + e.Server[:4]
		if e.Status != "" {
			w += " " + e.Status
		}
		words = append(words, w)
	}
	return strings.Join(words, ", ")
}

func TestEvents(t *testing.T) {
	named := func(p *weft.Port) { p.Name = "named" }
	other := port(func(p *weft.Port) { p.ID, p.DeviceID = "q", "77777777-1111-4222-8333-444455556666" })
	ports := map[string]*weft.Port{"p": port(nil), "q": other, "r": port(func(p *weft.Port) { p.DeviceOwner = "network:dhcp" })}
	binding := func(wired bool) *weft.PortBinding { return &weft.PortBinding{PortID: "p", Host: "h2", Wired: wired} }
	for _, tt := range []struct {
		what          string
		noun          string
		before, after any
		want          string
	}{
		{"wired", "ports", status("DOWN"), status("ACTIVE"), "vif-plugged p of 6e8b completed"},
		{"wired from build", "ports", status("BUILD"), status("ACTIVE"), "vif-plugged p of 6e8b completed"},
		{"made wired", "ports", nil, status("ACTIVE"), "vif-plugged p of 6e8b completed"},
		{"failed", "ports", status("DOWN"), status("ERROR"), "vif-plugged p of 6e8b failed"},
		{"no longer", "ports", status("ACTIVE"), status("DOWN"), "vif-unplugged p of 6e8b completed"},
		{"between", "ports", status("ACTIVE"), status("BUILD"), ""},
		{"mended", "ports", status("ERROR"), status("ACTIVE"), ""},
		{"made", "ports", nil, port(nil), ""},
		{"changed", "ports", port(nil), port(named), "changed p of 6e8b"},
		{"changed and unwired", "ports", status("ACTIVE"), port(named), "vif-unplugged p of 6e8b completed, changed p of 6e8b"},
		{"only its revision", "ports", port(nil), port(func(p *weft.Port) { p.Revision = 9; p.BoundRevision = 9 }), ""},
		{"given to a server", "ports", port(func(p *weft.Port) { p.DeviceOwner, p.DeviceID = "", "" }), port(nil), "changed p of 6e8b"},
		{"taken from it", "ports", port(nil), port(func(p *weft.Port) { p.DeviceOwner, p.DeviceID = "", "" }), ""},
		{"deleted", "ports", status("ACTIVE"), nil, "vif-deleted p of 6e8b"},
		{"of a router", "ports", status("DOWN"), port(func(p *weft.Port) {
			p.DeviceOwner, p.Status = "network:router_interface",
				"ACTIVE"
		}), ""},
		{"of no server", "ports", status("DOWN"), port(func(p *weft.Port) { p.DeviceID, p.Status = "vm-1", "ACTIVE" }), ""},
		{"no port", "networks", nil, &weft.Network{}, ""},

		{"floating IP with a port", "floatingips", nil, fip("p"), "changed p of 6e8b"},
		{"without", "floatingips", nil, fip(""), ""},
		{"associated", "floatingips", fip(""), fip("p"), "changed p of 6e8b"},
		{"disassociated", "floatingips", fip("p"), fip(""), "changed p of 6e8b"},
		{"moved", "floatingips", fip("p"), fip("q"), "changed p of 6e8b, changed q of 7777"},
		{"moved on the port", "floatingips", fip("p"), fip("p", func(f *weft.FloatingIP) { f.Description = "d" }), "changed p of 6e8b"},
		{"active", "floatingips", fip("p"), fip("p", func(f *weft.FloatingIP) { f.Status = "ACTIVE" }), ""},
		{"floating IP deleted", "floatingips", fip("p"), nil, "changed p of 6e8b"},
		{"of a port that is gone", "floatingips", fip("gone"), nil, ""},
		{"of a port of no server", "floatingips", nil, fip("r"), ""},

		{"wired where it is to go", "port_bindings", binding(false), binding(true), "vif-plugged p of 6e8b completed"},
		{"prepared", "port_bindings", nil, binding(false), ""},
		{"still wired", "port_bindings", binding(true), binding(true), ""},
		{"unwired there", "port_bindings", binding(true), binding(false), ""},
		{"no longer prepared", "port_bindings", binding(true), nil, ""},
	} {
		for _, on := range []struct{ statuses, data bool }{{true, true}, {true, false}, {false, true}} {
			tell := teller{on.statuses, on.data, func(id string) (*weft.Port, error) { return ports[id], nil }}
			got, err := tell.events(entry(t, tt.noun, tt.before, tt.after))
			var want []string
			for _, w := range strings.Split(tt.want, ", ") {
				isStatus := strings.Contains(w, "plugged")
				if w != "" && (isStatus && on.statuses || !isStatus && on.data) {
					want = append(want, w)
				}
			}
			if err != nil || told(got) != strings.Join(want, ", ") {
				t.Errorf("%s, %+v: %q, %v", tt.what, on, told(got), err)
			}
		}
	}
	_, err := teller{}.events(store.Change{Noun: "ports", After: []byte("{")})
	if err == nil {
		t.Error("an entry that is no JSON")
	}
	form, _ := json.Marshal(about(port(nil), true, ofStatus("", "ACTIVE")))
	if want := `[{"name":"network-vif-plugged","server_uuid":"` + server +
		`","tag":"p","status":"completed"}]`; string(form) != want {
		t.Errorf("%s", form)
	}
}

// However ports change, what Nova was told last of the wiring of one is how it is; what
// is left away as told already would have changed nothing.
func TestEventsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tell := teller{statuses: true, data: true}
		ports := map[string]*weft.Port{}
		var box, all []event
		for range rapid.IntRange(1, 40).Draw(t, "changes") {
			id := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "port")
			before := ports[id]
			after := weft.Clone(port(func(p *weft.Port) { p.ID = id }))
			if before != nil {
				after = weft.Clone(before)
				after.Status = rapid.SampledFrom([]string{"DOWN", "ACTIVE", "BUILD"}).Draw(t, "status")
				after.Name = rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "name")
			}
			var c store.Change
			if before == nil {
				c = entry(t, "ports", nil, after)
			} else {
				c = entry(t, "ports", before, after)
			}
			ports[id] = after
			events, err := tell.events(c)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range events {
				box, all = add(box, e), append(all, e)
			}
		}
		if diff := cmp.Diff(squeezed(all), squeezed(box)); diff != "" {
			t.Fatal(diff)
		}
		if once := squeezed(box); strings.Count(once["a"]+once["b"], ";") != len(box) {
			t.Fatalf("the same is told twice: %v", box)
		}
	})
}

// squeezed is the events of each port without repetitions, in order.
func squeezed(events []event) map[string]string {
	out, last := map[string]string{}, map[string]event{}
	for _, e := range events {
		if last[e.Tag] != e {
			out[e.Tag] += fmt.Sprint(e.Name, " ", e.Status, "; ")
			last[e.Tag] = e
		}
	}
	return out
}

func TestPause(t *testing.T) {
	if pause(2*time.Second, []event{{Name: changed}}) != 2*time.Second ||
		pause(2*time.Second, []event{{Name: changed}, {Name: plugged}}) != 200*time.Millisecond {
		t.Error("who waits for an event is not to wait for others")
	}
}
