package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/weftnet/weft/internal/api"
	"github.com/weftnet/weft/internal/store"
	"github.com/weftnet/weft/internal/store/storetest"
)

// TestHostile sends 10,000 random requests, valid, nearly valid and hostile, as a
// member of project A, to every resource in the tables, and holds of each: no error of
// the server's own, a refusal changes nothing, and no answer has a private row of
// another project in it.
func TestHostile(t *testing.T) {
	for seed := range uint64(5) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, db *store.DB) {
				h := newHostile(t, db, seed)
				for range 1000 {
					h.step()
				}
				for _, code := range []string{"GET 200", "POST 201", "PUT 200", "DELETE 204"} {
					if h.codes[code] == 0 {
						t.Errorf("no request was answered with %s: %v", code, h.codes)
					}
				}
			})
		})
	}
}

// hostile is a client that means no good.
type hostile struct {
	*world
	*rand.Rand
	nouns  []noun
	kinds  map[string]api.NounAttr // by name, as the last table has it
	ids    []string                // of rows that exist or did, its own and others'
	byPath map[string][]string     // the same ids by the noun
	secret string                  // is in the name of every private row of project B
	likely map[string]func(*hostile) any
	codes  map[string]int // answers, by method and status
}

func newHostile(t *testing.T, db *store.DB, seed uint64) *hostile {
	h := &hostile{kinds: map[string]api.NounAttr{}, world: newWorld(t, db), Rand: rand.New(rand.NewPCG(seed, 7)), secret: "secret-of-b", likely: likely(), codes: map[string]int{}, byPath: map[string][]string{}}
	h.ids = []string{absent, projectA, projectB, ""}
	h.readTables()
	n := h.make("bob", "networks", `{"network":{"name":"secret-of-b"}}`)
	s := h.make("bob", "subnets", `{"subnet":{"network_id":"`+n+`","ip_version":4,"cidr":"10.0.0.0/24","name":"secret-of-b"}}`)
	h.make("bob", "ports", `{"port":{"network_id":"`+n+`","name":"secret-of-b"}}`)
	r := h.make("bob", "routers", `{"router":{"name":"secret-of-b"}}`)
	h.do("bob", "PUT", "/v2.0/routers/"+r+"/add_router_interface", `{"subnet_id":"`+s+`"}`, nil)
	g := h.make("bob", "security-groups", `{"security_group":{"name":"secret-of-b"}}`)
	h.make("bob", "security-group-rules", `{"security_group_rule":{"security_group_id":"`+g+`","direction":"ingress","description":"secret-of-b"}}`)
	sc := h.make("bob", "address-scopes", `{"address_scope":{"name":"secret-of-b","ip_version":4}}`)
	h.make("bob", "subnetpools", `{"subnetpool":{"name":"secret-of-b","prefixes":["10.0.0.0/8"],"address_scope_id":"`+sc+`"}}`)
	h.make("bob", "rbac-policies", `{"rbac_policy":{"object_type":"network","object_id":"`+n+`","action":"access_as_shared","target_tenant":"secret-of-b"}}`)
	ext := h.make("admin", "networks", `{"network":{"name":"ext","router:external":true}}`)
	h.make("admin", "subnets", `{"subnet":{"network_id":"`+ext+`","ip_version":4,"cidr":"203.0.113.0/24"}}`)
	h.make("bob", "floatingips", `{"floatingip":{"floating_network_id":"`+ext+`","description":"secret-of-b"}}`)
	h.everything("bob")
	mine := h.make("alice", "networks", `{"network":{"name":"mine"}}`)
	h.make("alice", "subnets", `{"subnet":{"network_id":"`+mine+`","ip_version":4,"cidr":"10.1.0.0/24"}}`)
	h.make("alice", "routers", `{"router":{}}`)
	h.make("alice", "ports", `{"port":{"network_id":"`+mine+`"}}`)
	return h
}

// make creates a noun that must be accepted and is its id.
func (h *hostile) make(user, path, body string) string {
	h.t.Helper()
	got := h.do(user, "POST", "/v2.0/"+path, body, nil)
	if got.Code != 201 {
		h.t.Fatalf("%s: %d %s", body, got.Code, got.Body)
	}
	id := firstID(got.Body.Bytes())
	h.learn(path, id)
	return id
}

func (h *hostile) learn(path, id string) {
	h.ids = append(h.ids, id)
	h.byPath[path] = append(h.byPath[path], id)
}

// idOf is mostly the id of a noun of the path, preferably of a late one, and
// sometimes any.
func (h *hostile) idOf(path string) string {
	known := h.byPath[path]
	if len(known) == 0 || h.IntN(6) == 0 {
		return h.id()
	}
	return known[max(h.IntN(len(known)), h.IntN(len(known)))]
}

// refers says what kind of noun an attribute refers to, where its name does not.
var refers = map[string]string{"remote_group_id": "security-groups", "floating_network_id": "networks", "object_id": "networks", "local_port_id": "ports",
	"fixed_port_id": "ports", "internal_port_id": "ports", "qos_policy_id": "qos/policies", "policy_id": "qos/policies", "metering_label_id": "metering/metering-labels",
	"remote_address_group_id": "address-groups", "security_group_id": "security-groups", "address_scope_id": "address-scopes"}

// collectionOf is the path of the nouns that an attribute refers to.
func collectionOf(attr string) string {
	if path := refers[attr]; path != "" {
		return path
	}
	return strings.TrimSuffix(attr, "_id") + "s"
}

// firstID is the id of the noun in an answer.
func firstID(body []byte) string {
	var doc map[string]struct{ ID string }
	if json.Unmarshal(body, &doc) == nil {
		for _, v := range doc {
			return v.ID
		}
	}
	return ""
}

// noun is a resource as a client knows it: where it is, and what it can be asked.
type noun struct {
	path, within, name, plural string
	attrs, required            []string
	actions                    []string
	create                     bool
}

// readTables learns the resources from the tables of the server, and those that
// have none by heart.
func (h *hostile) readTables() {
	s := api.NewServer(api.Config{})
	testCloud().Register(s)
	for _, n := range api.Nouns(s) {
		known := noun{path: n.Path, within: n.Within, name: n.Singular, plural: n.Plural, actions: n.Actions, create: n.Create}
		for _, a := range n.Attrs {
			if a.Post || a.Put {
				known.attrs = append(known.attrs, a.Name)
				h.kinds[a.Name] = a
			}
			if a.Required {
				known.required = append(known.required, a.Name)
			}
		}
		h.nouns = append(h.nouns, known)
	}
	h.nouns = append(h.nouns, noun{path: "quotas", name: "quota", plural: "quotas", attrs: []string{"network", "port", "force"}},
		noun{path: "availability_zones", name: "availability_zone"}, noun{path: "extensions", name: "extension"}, noun{path: "qos/rule-types", name: "rule_type"},
		noun{path: "service-providers", name: "service_provider"}, noun{path: "log/loggable-resources", name: "loggable_resource"})
}

// everything makes a private row of each noun that the user can make, as far as
// chance has it.
func (h *hostile) everything(user string) {
	for _, n := range h.nouns {
		for range 3 {
			if !n.create || n.name == "rbac_policy" { // which would share what is to be secret
				break
			}
			m := map[string]any{}
			for _, name := range n.required {
				m[name] = h.likelyValue(name)
			}
			for _, name := range []string{"name", "description"} {
				if slices.Contains(n.attrs, name) {
					m[name] = h.secret
				}
			}
			path := h.collection(n)
			if got := h.do(user, "POST", "/v2.0/"+path, h.encode(map[string]any{n.name: m}), nil); got.Code == 201 {
				h.learn(n.path, firstID(got.Body.Bytes()))
				break
			}
		}
	}
}

// collection is the path of a noun's collection, below a noun of some kind or other
// if it is nested.
func (h *hostile) collection(n noun) string {
	if n.within == "" {
		return n.path
	}
	return n.within + "/" + url.PathEscape(h.idOf(n.within)) + "/" + n.path
}

var actions = []string{"add_router_interface", "remove_router_interface", "add_extraroutes", "remove_extraroutes", "tags", "tags/x", "tags/%00", "details", "default", "x/y/z"}

// step sends one request and judges the answer.
func (h *hostile) step() {
	method, target, body := h.request()
	header := http.Header{}
	if h.IntN(20) == 0 {
		header.Set("If-Match", pick(h.Rand, "revision_number=1", "revision_number=x", `"`, "revision_number=99999999999999999999"))
	}
	before := h.head()
	got := h.do("alice", method, target, body, header)
	h.codes[fmt.Sprint(method, " ", got.Code)]++
	told := func(what string) {
		h.t.Errorf("%s\n%s %s %.2000s\n-> %d %.2000s", what, method, target, body, got.Code, got.Body)
	}
	switch {
	case got.Code >= 500:
		told("an error of the server's own")
	case got.Code >= 400 && h.head() != before:
		told("a refusal changed something")
	case bytes.Contains(got.Body.Bytes(), []byte(h.secret)) && !strings.Contains(target+body, h.secret):
		told("a private row of another project")
	case bytes.Contains(got.Body.Bytes(), []byte(`"project_id":"`+projectB)):
		told("a row of another project")
	case got.Code == 201 && firstID(got.Body.Bytes()) != "":
		h.learn(learned(target), firstID(got.Body.Bytes()))
	}
}

// learned is the path by which the nouns of a collection are remembered: without the
// noun above.
func learned(target string) string {
	path := strings.TrimPrefix(target, "/v2.0/")
	if parts := strings.Split(path, "/"); len(parts) > 2 {
		return parts[len(parts)-1]
	}
	return path
}

func (h *hostile) request() (method, target, body string) {
	n := h.nouns[h.IntN(len(h.nouns))]
	target = "/v2.0/" + h.collection(n)
	one := target + "/" + url.PathEscape(h.idOf(n.path))
	switch h.IntN(10) {
	case 0, 1:
		return "GET", target + h.filters(n.attrs), ""
	case 2:
		return pick(h.Rand, "GET", "DELETE"), one + h.filters(n.attrs), ""
	case 3:
		names := append(slices.Clone(n.actions), actions...)
		return pick(h.Rand, "GET", "PUT", "PUT", "POST", "DELETE"), one + "/" + names[h.IntN(len(names))], h.actionBody(n)
	case 4, 5:
		return "PUT", one, h.object(n.name, n.attrs, nil)
	case 6:
		return "POST", target, h.bulk(n.plural, n.name, n.attrs, n.required)
	case 7:
		return pick(h.Rand, "POST", "PUT", "PATCH", "OPTIONS"), target, h.garbage()
	}
	return "POST", target, h.object(n.name, n.attrs, n.required)
}

func (h *hostile) id() string { return h.ids[h.IntN(len(h.ids))] }

func (h *hostile) filters(attrs []string) string {
	if h.IntN(3) == 0 {
		return ""
	}
	v := url.Values{}
	names := append([]string{"id", "limit", "marker", "cascade", "dry_run", "sort_key", "sort_dir", "fields", "page_reverse", "tags", "not-tags-any", "project_id", "revision_number"}, attrs...)
	for range 1 + h.IntN(3) {
		name := names[h.IntN(len(names))]
		value := fmt.Sprint(h.scalar())
		switch name {
		case "sort_key":
			value = names[h.IntN(len(names))]
		case "fixed_ips":
			value = pick(h.Rand, "ip_address=", "ip_address_substr=", "subnet_id=", "x=", "") + value
		}
		v.Add(name, value)
	}
	return "?" + v.Encode()
}

func (h *hostile) object(name string, attrs, required []string) string {
	return h.encode(map[string]any{name: h.attributes(attrs, required)})
}

func (h *hostile) bulk(plural, name string, attrs, required []string) string {
	var list []any
	for range h.IntN(4) {
		list = append(list, h.attributes(attrs, required))
	}
	if h.IntN(5) == 0 {
		list = append(list, h.value("", 0))
	}
	return h.encode(map[string]any{plural: list, pick(h.Rand, name+"x", "y"): nil})
}

func (h *hostile) attributes(attrs, required []string) map[string]any {
	m := map[string]any{}
	for _, name := range required {
		if h.IntN(12) > 0 {
			m[name] = h.value(name, 0)
		}
	}
	for range h.IntN(3) {
		if len(attrs) > 0 {
			name := attrs[h.IntN(len(attrs))]
			m[name] = h.value(name, 0)
		}
	}
	if h.IntN(15) == 0 {
		m[pick(h.Rand, "project_id", "tenant_id", "id", "status", "bogus", "description", "revision_number", "\x00")] = h.value("", 0)
	}
	return m
}

func (h *hostile) actionBody(n noun) string {
	switch h.IntN(5) {
	case 0:
		return ""
	case 1:
		return h.encode(map[string]any{"subnet_id": h.value("subnet_id", 0), "port_id": h.value("port_id", 0)})
	case 2:
		return h.encode(map[string]any{"router": map[string]any{"routes": h.value("routes", 0)}, "tags": h.value("tags", 0)})
	case 3:
		return h.object(n.name, []string{"sub_ports", "addresses", "prefixes", "routes", "external_gateways", "id"}, nil)
	}
	return h.encode(map[string]any{pick(h.Rand, "subnet_id", "port_id", "tags", "sub_ports", "prefixes", "network_id", "addresses", "router_id"): h.value("port_id", 0)})
}

// garbage is a body that is no request at all.
func (h *hostile) garbage() string {
	return pick(h.Rand, "", "{", "null", "[]", `"x"`, "{}", `{"network":null}`, `{"port":[[]]}`, strings.Repeat("[", 20000), strings.Repeat(`{"a":`, 9999)+"1"+strings.Repeat("}", 9999),
		"\xff\xfe", `{"network":{"name":"\ud800"}}`, `{"network":{"name":"a","name":"b"}}`, `{"network":{}} {}`, `{"security_group":{"name":"`+strings.Repeat("x", 5000)+`"}}`)
}

func (h *hostile) encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		h.t.Fatal(err)
	}
	return string(b)
}

// value is a value for an attribute: often of its kind, sometimes of any.
func (h *hostile) value(name string, depth int) any {
	if h.IntN(9) > 0 && name != "" {
		if v := h.likelyValue(name); v != nil {
			return v
		}
	}
	if depth < 3 && h.IntN(4) == 0 {
		if h.IntN(2) == 0 {
			return []any{h.value("", depth+1), h.value("", depth+1)}
		}
		return map[string]any{pick(h.Rand, "a", "network_id", "subnet_id", "ip_address", "\x00", ""): h.value("", depth+1)}
	}
	return h.scalar()
}

// likelyValue is a value of an attribute's kind, as its table says; nil if that says
// little.
func (h *hostile) likelyValue(name string) any {
	if f := h.likely[name]; f != nil {
		return f(h)
	}
	a := h.kinds[name]
	if choices, ok := a.Schema["enum"].([]any); ok {
		return choices[h.IntN(len(choices))]
	}
	switch {
	case strings.HasSuffix(name, "_id"):
		return h.idOf(collectionOf(name))
	case a.Kind == "boolean":
		return h.IntN(2) == 0
	case a.Kind == "integer":
		return pick(h.Rand, 0, 1, 2, 10, 100, 3000, h.IntN(70000))
	case a.Kind == "IP address":
		return h.addr()
	case a.Kind == "CIDR":
		return h.prefix()
	case strings.HasPrefix(a.Kind, "list"):
		return h.some(func() any { return h.id() }, func() any { return h.prefix() }, func() any { return map[string]any{"id": h.id()} })
	case a.Kind == "string":
		return pick(h.Rand, "a", "b", "vxlan", "vlan", "tcp", "80", "80:90", h.addr(), h.prefix())
	}
	return nil
}

func (h *hostile) scalar() any {
	return []any{nil, true, false, 0, -1, 1, 4, 6, 80, 65536, 1 << 31, -(1 << 40), 1.5, json.Number("1e400"), json.Number(strings.Repeat("9", 400)), "", "a", "\x00", "a\x00b",
		"10.0.0.1", "10.1.0.0/24", "::1", "fe80::1%eth0", "2001:db8::/64", "0.0.0.0/0", "fa:16:3e:00:00:01", "True", "' OR 1=1 --", "%", "ＡＢＣ", "\U0001F980",
		strings.Repeat("x", 256), strings.Repeat("é", 255), h.id(), projectB, "*", "network", "compute:nova", "network:router_interface", "tcp", "ingress", "IPv6"}[h.IntN(42)]
}

// likely makes values of the kind that an attribute has.
func likely() map[string]func(*hostile) any {
	return map[string]func(*hostile) any{
		"ip_version": func(h *hostile) any { return pick[any](h.Rand, 4, 4, 4, 6, "4") },
		"cidr":       func(h *hostile) any { return h.prefix() },
		"prefixes":   func(h *hostile) any { return []any{h.prefix(), h.prefix()}[:1+h.IntN(2)] },
		"gateway_ip": func(h *hostile) any { return pick[any](h.Rand, nil, h.addr(), h.addr()) },
		"fixed_ips": func(h *hostile) any {
			return h.some(func() any { return map[string]any{"ip_address": h.addr()} }, func() any { return map[string]any{"subnet_id": h.idOf("subnets")} }, func() any { return map[string]any{"subnet_id": h.idOf("subnets"), "ip_address": h.addr()} })
		},
		"routes": func(h *hostile) any {
			return h.some(func() any { return map[string]any{"destination": h.prefix(), "nexthop": h.addr()} })
		},
		"host_routes": func(h *hostile) any {
			return h.some(func() any { return map[string]any{"destination": h.prefix(), "nexthop": h.addr()} })
		},
		"dns_nameservers": func(h *hostile) any { return h.some(func() any { return h.addr() }) },
		"allocation_pools": func(h *hostile) any {
			return h.some(func() any { return map[string]any{"start": h.addr(), "end": h.addr()} })
		},
		"allowed_address_pairs": func(h *hostile) any {
			return h.some(func() any { return map[string]any{"ip_address": h.addr()} }, func() any { return map[string]any{"ip_address": h.prefix(), "mac_address": h.scalar()} })
		},
		"extra_dhcp_opts": func(h *hostile) any {
			return h.some(func() any { return map[string]any{"opt_name": "mtu", "opt_value": h.scalar()} })
		},
		"external_gateway_info": func(h *hostile) any {
			return pick[any](h.Rand, nil, map[string]any{"network_id": h.idOf("networks")}, map[string]any{"network_id": h.idOf("networks"), "external_fixed_ips": h.value("fixed_ips", 1)})
		},
		"security_groups": func(h *hostile) any { return h.some(func() any { return h.idOf("security-groups") }) },
		"tags":            func(h *hostile) any { return h.some(func() any { return pick(h.Rand, "a", "b") }) },
		"segments": func(h *hostile) any {
			return h.some(func() any { return map[string]any{"provider:network_type": "vxlan"} })
		},
		"direction": func(h *hostile) any { return pick(h.Rand, "ingress", "egress") },
		"ethertype": func(h *hostile) any { return pick(h.Rand, "IPv4", "IPv6") },
		"protocol": func(h *hostile) any {
			return pick[any](h.Rand, "tcp", "udp", "icmp", "ipv6-icmp", 6, "any", nil, "255")
		},
		"port_range_min":   func(h *hostile) any { return h.IntN(300) },
		"port_range_max":   func(h *hostile) any { return h.IntN(300) },
		"remote_ip_prefix": func(h *hostile) any { return h.prefix() },
		"sub_ports": func(h *hostile) any {
			return h.some(func() any {
				return map[string]any{"port_id": h.idOf("ports"), "segmentation_type": "vlan", "segmentation_id": h.IntN(5000)}
			})
		},
		"addresses": func(h *hostile) any { return h.some(func() any { return h.prefix() }) },
		"object_type": func(h *hostile) any {
			return pick(h.Rand, "network", "security_group", "subnetpool", "qos_policy", "address_group", "address_scope")
		},
		"action":              func(h *hostile) any { return pick(h.Rand, "access_as_shared", "access_as_external") },
		"target_tenant":       func(h *hostile) any { return pick(h.Rand, projectA, projectB, "p3", "*") },
		"default_prefixlen":   func(h *hostile) any { return h.IntN(70) },
		"min_prefixlen":       func(h *hostile) any { return h.IntN(70) },
		"max_prefixlen":       func(h *hostile) any { return h.IntN(130) },
		"floating_ip_address": func(h *hostile) any { return h.addr() },
		"fixed_ip_address":    func(h *hostile) any { return h.addr() },
		"name":                func(h *hostile) any { return pick(h.Rand, "n", "default", "") },
		"mtu":                 func(h *hostile) any { return pick[any](h.Rand, 0, 68, 1400, "1450", 9000) },
	}
}

func (h *hostile) some(makers ...func() any) any {
	list := []any{}
	for range h.IntN(4) {
		list = append(list, makers[h.IntN(len(makers))]())
	}
	return list
}

func (h *hostile) addr() string {
	return pick(h.Rand, fmt.Sprintf("10.1.%d.%d", h.IntN(3), h.IntN(256)), fmt.Sprintf("203.0.113.%d", h.IntN(256)), fmt.Sprintf("2001:db8:%x::%x", h.IntN(3), h.IntN(9)), "0.0.0.0", "255.255.255.255", "::")
}

func (h *hostile) prefix() string {
	return pick(h.Rand, fmt.Sprintf("10.1.%d.0/24", h.IntN(9)), fmt.Sprintf("10.%d.0.0/%d", h.IntN(9), h.IntN(33)), fmt.Sprintf("2001:db8:%x::/%d", h.IntN(9), h.IntN(129)), "0.0.0.0/0", "::/0", "10.0.0.0/8")
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// The client knows every collection that there is, and it is there.
func TestHostileKnowsAllNouns(t *testing.T) {
	h := newHostile(t, storetest.SQLite(t), 1)
	for _, n := range h.nouns {
		if n.within != "" || strings.HasPrefix(n.path, "qos/alias_") { // whose lists are nowhere
			continue
		}
		if got := h.do("admin", "GET", "/v2.0/"+n.path, "", nil); got.Code != 200 {
			t.Errorf("%s: %d", n.path, got.Code)
		}
	}
}
