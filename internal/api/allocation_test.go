package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/ml2/mech/linuxbridge"
	"github.com/weftnet/weft/internal/peer"
	"github.com/weftnet/weft/internal/placement"
	"github.com/weftnet/weft/internal/placement/tree"
	"github.com/weftnet/weft/internal/store"
	"github.com/weftnet/weft/internal/store/storetest"
)

// allocator is what is asked of a Placement about allocations: instances have what they
// have of providers, of each class 1000 at most, all together.
type allocator struct {
	away      bool
	have      map[string]map[string]map[string]int64 // by instance, provider, class
	asked     int
	inside    func() // called while it is asked
	conflicts int    // that it has yet to answer with
}

// Do implements placement.Service.
func (a *allocator) Do(_ context.Context, r peer.Request) (*peer.Answer, error) {
	if a.asked++; a.away {
		return nil, errors.New("connection refused")
	}
	if a.inside != nil {
		a.inside()
	}
	instance := strings.TrimPrefix(r.Path, "/allocations/")
	type allocation struct {
		Resources map[string]int64 `json:"resources"`
	}
	body := struct {
		Allocations map[string]allocation `json:"allocations"`
	}{map[string]allocation{}}
	if r.Method == "GET" {
		for provider, resources := range a.have[instance] {
			body.Allocations[provider] = allocation{resources}
		}
		text, err := json.Marshal(body)
		return &peer.Answer{Status: 200, Body: text}, err
	}
	refuse := func(code string) (*peer.Answer, error) {
		return nil, &peer.Error{Service: "placement", Method: r.Method, Path: r.Path, Status: 409, Code: code}
	}
	if a.conflicts > 0 {
		a.conflicts--
		return refuse("placement.concurrent_update")
	}
	text, err := json.Marshal(r.Body)
	if err != nil || json.Unmarshal(text, &body) != nil {
		return nil, errors.New("malformed")
	}
	next := map[string]map[string]int64{}
	for provider, given := range body.Allocations {
		next[provider] = given.Resources
		for class, n := range given.Resources {
			for other, has := range a.have {
				if other != instance {
					n += has[provider][class]
				}
			}
			if n > 1000 {
				return refuse("placement.undefined_code")
			}
		}
	}
	a.have[instance] = next
	return &peer.Answer{Status: 204}, nil
}

// placed is a world whose host h1 has bandwidth and a packet rate, a network there, and
// policies with minimums.
type placed struct {
	*world
	allocator     *allocator
	agent, device string // providers
	network       string
	policies      map[string]string // ids by name
}

const instance = "0d0d0d0d-0000-4000-8000-000000000001"

func newPlaced(t *testing.T, db *store.DB) *placed {
	p := &placed{world: newWorld(t, db), allocator: &allocator{have: map[string]map[string]map[string]int64{}},
		policies: map[string]string{}}
	p.cloud.QoS.Allocator = placement.New(slog.New(slog.DiscardHandler), p.allocator)
	offers := map[string]any{"interface_mappings": map[string]any{"provider": "eth1"}, "tunnel_types": []any{"vxlan"},
		"resource_provider_bandwidths": map[string]any{"eth1": map[string]any{"egress": 1000,
			"ingress": 1000}},
		"resource_provider_packet_processing_without_direction": map[string]any{"h1": map[string]any{"any": 1000}},
		"resource_provider_hypervisors":                         map[string]any{"eth1": "h1"}}
	kind := linuxbridge.New(0).(interface{ Placed() tree.Kind }).Placed()
	providers, err := tree.Of(kind, offers)
	if err != nil {
		t.Fatal(err)
	}
	p.agent, p.device = providers[0].UUID, providers[1].UUID
	err = db.Update(t.Context(), weft.SystemCaller("test"), func(tx *store.Tx) error {
		a, err := store.Agents.First(tx, store.Eq("agent_type", weft.AgentLinuxBridge))
		if err != nil {
			return err
		}
		a.Configurations = offers
		return store.Agents.Update(tx, a)
	})
	if err != nil {
		t.Fatal(err)
	}
	p.network = p.made("networks", "network", `{"network":{"provider:network_type":"vlan","provider:physical_network":"provider"}}`)
	for name, rules := range map[string]string{"small": "bandwidth 100", "large": "bandwidth 900",
		"both": "bandwidth 200 rate 300", "none": ""} {
		id := p.made("qos/policies", "policy", `{"policy":{"name":"`+name+`"}}`)
		p.policies[name] = id
		words := strings.Fields(rules)
		for i := 0; i < len(words); i += 2 {
			if words[i] == "rate" {
				p.made("qos/policies/"+id+"/minimum_packet_rate_rules", "minimum_packet_rate_rule",
					`{"minimum_packet_rate_rule":{"direction":"any","min_kpps":`+words[i+1]+`}}`)
				continue
			}
			p.made("qos/policies/"+id+"/minimum_bandwidth_rules", "minimum_bandwidth_rule",
				`{"minimum_bandwidth_rule":{"direction":"egress","min_kbps":`+words[i+1]+`}}`)
		}
	}
	return p
}

// made is the id of what an administrator makes.
func (p *placed) made(path, noun, body string) string {
	p.t.Helper()
	return p.answer("POST", path, noun, body, 201)["id"].(string)
}

func (p *placed) answer(method, path, noun, body string, status int) map[string]any {
	p.t.Helper()
	rec := p.do("admin", method, "/v2.0/"+path, body, nil)
	var out map[string]map[string]any
	if err := json.Unmarshal(rec.Body.Bytes(), &out); rec.Code != status || err != nil {
		p.t.Fatalf("%s %s %s: %d %s", method, path, body, rec.Code, rec.Body)
	}
	return out[noun]
}

// boots is a port of a policy, allocated and bound as Nova does when it makes a server.
func (p *placed) boots(instance, policy string) string {
	p.t.Helper()
	id := p.made("ports", "port", `{"port":{"network_id":"`+p.network+`"`+policy+`}}`)
	request, _ := p.answer("GET", "ports/"+id, "port", "", 200)["resource_request"].(map[string]any)
	allocation := map[string]any{}
	p.allocator.have[instance] = map[string]map[string]int64{"the compute node": {"VCPU": 1}}
	groups, _ := request["request_groups"].([]any)
	for _, g := range groups {
		group := g.(map[string]any)
		for class, n := range group["resources"].(map[string]any) {
			provider := p.device
			if strings.Contains(class, "RATE") {
				provider = p.agent
			}
			allocation[group["id"].(string)] = provider
			p.allocator.have[instance][provider] = map[string]int64{class: int64(n.(float64))}
		}
	}
	profile, err := json.Marshal(map[string]any{"allocation": allocation})
	if err != nil {
		p.t.Fatal(err)
	}
	port := p.answer("PUT", "ports/"+id, "port", `{"port":{"device_id":"`+instance+`","device_owner":"compute:nova",
		"binding:host_id":"h1","binding:profile":`+string(profile)+`}}`, 200)
	if port["binding:vif_type"] != "bridge" {
		p.t.Fatalf("vif_type %s", port["binding:vif_type"])
	}
	return id
}

// has checks what an instance is allocated of the interface and of the host.
func (p *placed) has(instance string, bandwidth, rate int64) {
	p.t.Helper()
	got := []int64{p.allocator.have[instance][p.device]["NET_BW_EGR_KILOBIT_PER_SEC"],
		p.allocator.have[instance][p.agent]["NET_PACKET_RATE_KILOPACKET_PER_SEC"]}
	if diff := cmp.Diff([]int64{bandwidth, rate}, got); diff != "" {
		p.t.Errorf("allocated: -want +got\n%s", diff)
	}
}

// consistent checks that the port's profile is about the groups that it requests.
func (p *placed) consistent(id string) {
	p.t.Helper()
	port := p.answer("GET", "ports/"+id, "port", "", 200)
	want := map[string]any{}
	if request, ok := port["resource_request"].(map[string]any); ok {
		for _, g := range request["request_groups"].([]any) {
			group := g.(map[string]any)
			for class := range group["resources"].(map[string]any) {
				want[group["id"].(string)] = p.device
				if strings.Contains(class, "RATE") {
					want[group["id"].(string)] = p.agent
				}
			}
		}
	}
	if diff := cmp.Diff(want, port["binding:profile"].(map[string]any)["allocation"]); diff != "" {
		p.t.Errorf("allocation: -requested +in the profile\n%s", diff)
	}
}

func (p *placed) policy(name string) string { return `,"qos_policy_id":"` + p.policies[name] + `"` }

func (p *placed) change(path, noun, policy string, status int) string {
	p.t.Helper()
	body := `{"` + noun + `":{"qos_policy_id":null}}`
	if policy != "" {
		body = `{"` + noun + `":{"qos_policy_id":"` + p.policies[policy] + `"}}`
	}
	rec := p.do("admin", "PUT", "/v2.0/"+path, body, nil)
	if rec.Code != status {
		p.t.Fatalf("%s %s: %d %s, want %d", path, policy, rec.Code, rec.Body, status)
	}
	return rec.Body.String()
}

// What an instance is allocated follows the policies of its ports, and its network's.
func TestReallocate(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := newPlaced(t, db)
		port := p.boots(instance, p.policy("both"))
		p.has(instance, 200, 300)
		p.consistent(port)

		p.allocator.inside = func() { // the database is not held meanwhile
			if rec := p.do("admin", "PUT", "/v2.0/networks/"+p.network, `{"network":{"description":"x"}}`, nil); rec.Code != 200 {
				t.Errorf("while Placement is asked: %d %s", rec.Code, rec.Body)
			}
		}
		p.change("ports/"+port, "port", "small", 200)
		p.allocator.inside = nil
		p.has(instance, 100, 0)
		p.consistent(port)

		p.allocator.conflicts = 3
		p.change("ports/"+port, "port", "large", 200)
		p.has(instance, 900, 0)

		// What does not fit is refused, in Neutron's words, and nothing changes.
		const second = "0d0d0d0d-0000-4000-8000-000000000002"
		other := p.boots(second, p.policy("small"))
		said := p.change("ports/"+other, "port", "large", 409)
		for _, want := range []string{"QosPlacementAllocationUpdateConflict", "Updating placement allocation with {'" + p.device +
			"': {'NET_BW_EGR_KILOBIT_PER_SEC': 800}} for consumer " + second +
			" failed. The requested resources would exceed the capacity available."} {
			if !strings.Contains(said, want) {
				t.Errorf("no %q in %s", want, said)
			}
		}
		p.has(second, 100, 0)
		p.consistent(other)

		// A type of rule that was not allocated is not now: only a scheduler finds out where.
		p.change("ports/"+other, "port", "both", 409) // 100 more of bandwidth are too much
		p.change("ports/"+port, "port", "small", 200)
		p.change("ports/"+other, "port", "both", 200)
		p.has(second, 200, 0)

		// Without a policy nothing is left, and what is the instance's own stays.
		p.change("ports/"+port, "port", "", 200)
		p.has(instance, 0, 0)
		p.consistent(port)
		if p.allocator.have[instance]["the compute node"]["VCPU"] != 1 {
			t.Error("the instance has no processor any more")
		}

		// What had nothing allocated is not looked at.
		p.allocator.asked = 0
		p.change("ports/"+port, "port", "large", 200)
		p.change("ports/"+port, "port", "none", 200)
		if p.allocator.asked != 0 {
			t.Errorf("asked %d times", p.allocator.asked)
		}
	})
}

// A network's policy is one of all ports without their own: they all get another, or none.
func TestReallocateNetwork(t *testing.T) {
	p := newPlaced(t, storetest.DB(t))
	p.change("networks/"+p.network, "network", "small", 200)
	const second = "0d0d0d0d-0000-4000-8000-000000000002"
	ports := []string{p.boots(instance, ""), p.boots(second, "")}
	p.boots("0d0d0d0d-0000-4000-8000-000000000003", p.policy("small"))

	p.change("networks/"+p.network, "network", "both", 200)
	p.has(instance, 200, 0)
	p.has(second, 200, 0)

	p.change("networks/"+p.network, "network", "large", 409)
	p.has(instance, 200, 0)
	p.has(second, 200, 0)
	if got := p.answer("GET", "networks/"+p.network, "network", "", 200)["qos_policy_id"]; got != p.policies["both"] {
		t.Errorf("the network has policy %s", got)
	}
	p.change("networks/"+p.network, "network", "", 200)
	p.has(instance, 0, 0)
	for _, port := range ports {
		p.consistent(port)
	}
}

// An instance gets what each of its ports asks for, also if they ask the same.
func TestReallocateAlike(t *testing.T) {
	p := newPlaced(t, storetest.DB(t))
	p.change("networks/"+p.network, "network", "small", 200)
	ports := []string{p.boots(instance, ""), p.boots(instance, "")}
	p.allocator.have[instance][p.device]["NET_BW_EGR_KILOBIT_PER_SEC"] = 200 // of both

	p.change("networks/"+p.network, "network", "both", 200)
	p.has(instance, 400, 0)
	p.change("networks/"+p.network, "network", "large", 409)
	p.has(instance, 400, 0)
	p.change("networks/"+p.network, "network", "", 200)
	p.has(instance, 0, 0)
	for _, port := range ports {
		p.consistent(port)
	}
}

func TestReallocateWithout(t *testing.T) {
	p := newPlaced(t, storetest.DB(t))
	port := p.boots(instance, p.policy("small"))
	p.allocator.away = true
	p.change("ports/"+port, "port", "large", 503)
	p.allocator.away = false
	p.allocator.have[instance] = nil
	if said := p.change("ports/"+port, "port", "large", 400); !strings.Contains(said,
		"Resource allocation is deleted for consumer "+instance) {
		t.Error(said)
	}
	p.allocator.have[instance] = map[string]map[string]int64{"the compute node": {"VCPU": 1}}
	if said := p.change("ports/"+port, "port", "large", 400); !strings.Contains(said,
		"Resource provider "+p.device+" for "+instance+" does not exist") {
		t.Error(said)
	}
	p.cloud.QoS.Allocator = nil
	if said := p.change("ports/"+port, "port", "large", 501); !strings.Contains(said, "backed by resources tracked in Placement") {
		t.Error(said)
	}
	p.consistent(port)
}

// A port binds where Placement has given it something: on that host, and that network.
func TestBindWhereAllocated(t *testing.T) {
	p := newPlaced(t, storetest.DB(t))
	p.agents("h2")
	far := p.made("networks", "network", `{"network":{"provider:network_type":"vxlan"}}`)
	for _, c := range []struct{ name, network, host, allocation, want string }{
		{"by group", p.network, "h1", `{"` + absent + `": "` + p.device + `"}`, "bridge"},
		{"the old form", p.network, "h1", `"` + p.device + `"`, "bridge"},
		{"of two providers", p.network, "h1", `{"` + absent + `": "` + p.device + `", "` + instance + `": "` + p.agent + `"}`,
			"bridge"},
		{"the packet rate of any network", far, "h1", `{"` + absent + `": "` + p.agent + `"}`, "bridge"},
		{"nothing", p.network, "h2", `{}`, "bridge"},
		{"another host", p.network, "h2", `{"` + absent + `": "` + p.device + `"}`, "binding_failed"},
		{"another network", far, "h1", `{"` + absent + `": "` + p.device + `"}`, "binding_failed"},
		{"nobody's", p.network, "h1", `{"` + absent + `": "` + absent + `"}`, "binding_failed"},
	} {
		port := p.answer("POST", "ports", "port", `{"port":{"network_id":"`+c.network+`","binding:host_id":"`+c.host+
			`","binding:profile":{"allocation":`+c.allocation+`}}}`, 201)
		if port["binding:vif_type"] != c.want {
			t.Errorf("%s: vif_type %s, want %s", c.name, port["binding:vif_type"], c.want)
		}
	}
}
