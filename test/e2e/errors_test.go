package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// refusal is a bad request and what has to come back.
type refusal struct {
	what    string
	who     string // "admin", "member", or "nobody"
	method  string
	path    string // below /v2.0/
	body    string
	status  int
	typ     string
	message string // the whole of it; "" if nothing says what it is
	headers []string
}

const (
	bad     = "HTTPBadRequest"
	invalid = "InvalidInput"
	input   = "Invalid input for operation: "
	absent  = "99999999-9999-4999-8999-999999999999"
	gone    = "The resource could not be found."
	denied  = " is disallowed by policy"
)

// refusals follow the error table of the API. Names in braces are the ids of the
// fixtures.
var refusals = []refusal{
	// Bodies.
	{"no JSON", "member", "POST", "networks", `{`, 400, bad, "Body contains invalid data", nil},
	{"no JSON object", "member", "POST", "networks", `[1]`, 400, bad, "Body contains invalid data", nil},
	{"JSON and more", "member", "POST", "networks", `{"network":{}} {}`, 400, bad, "Body contains invalid data", nil},
	{"an empty body", "member", "POST", "networks", ``, 400, bad, "Unable to find 'network' in request body", nil},
	{"another noun", "member", "POST", "networks", `{"subnet":{}}`, 400, bad, "Unable to find 'network' in request body", nil},
	{"another noun in PUT", "member", "PUT", "networks/{net}", `{"subnet":{}}`, 400, bad, "Unable to find 'network' in request body", nil},
	{"a noun that is no object", "member", "POST", "networks", `{"network":"x"}`, 400, bad, "Object 'network' contains invalid data", nil},
	{"DELETE with a body", "member", "DELETE", "networks/{net}", `{"network":{}}`, 400, bad, "Request body is not supported in DELETE.", nil},

	// Bulk.
	{"nothing in bulk", "member", "POST", "networks", `{"networks":[]}`, 400, bad, "Resources required", nil},
	{"one of many wrong", "member", "POST", "networks", `{"networks":[{"name":"e1"},{"name":"e2","admin_state_up":"maybe"}]}`, 400, invalid, input + "'maybe' cannot be converted to boolean.", nil},
	{"one of many refused late", "admin", "POST", "networks", `{"networks":[{"name":"e1"},{"name":"e2","provider:network_type":"flat","provider:physical_network":"provider"}]}`, 409, "FlatNetworkInUse", "", nil},
	{"the plural in PUT", "member", "PUT", "networks/{net}", `{"networks":[{"name":"x"}]}`, 400, bad, "Bulk operation not supported", nil},

	// The order of validation: each request is wrong in two ways.
	{"projects before unknown attributes", "member", "POST", "networks", `{"network":{"bogus":1,"tenant_id":"{project}","project_id":"{other}"}}`, 400, bad, "'project_id' and 'tenant_id' do not match", nil},
	{"unknown before required", "member", "POST", "ports", `{"port":{"bogus":1,"abogus":2}}`, 400, bad, "Unrecognized attribute(s) 'abogus, bogus'", nil},
	{"required before converters", "member", "POST", "ports", `{"port":{"admin_state_up":"maybe"}}`, 400, bad, "Failed to parse request. Required attribute 'network_id' not specified", nil},
	{"read-only before converters", "member", "POST", "networks", `{"network":{"admin_state_up":"maybe","status":"ACTIVE"}}`, 400, bad, "Attribute 'status' not allowed in POST", nil},
	{"read-only before validators", "member", "POST", "networks", `{"network":{"name":5,"id":"{none}"}}`, 400, bad, "Attribute 'id' not allowed in POST", nil},
	{"read-only before converters in PUT", "member", "PUT", "networks/{net}", `{"network":{"admin_state_up":"maybe","status":"ACTIVE"}}`, 400, bad, "Cannot update read-only attribute status", nil},
	{"validators before policy", "member", "POST", "networks", `{"network":{"name":5,"shared":true}}`, 400, bad, "Invalid input for name. Reason: '5' is not a valid string.", nil},
	{"policy before quota", "member", "POST", "routers", `{"router":{"external_gateway_info":{"network_id":"{ext}","enable_snat":false}}}`, 403, "PolicyNotAuthorized", "", nil},
	{"quota before the rules of the noun", "member", "POST", "routers", `{"router":{"external_gateway_info":{"network_id":"{net}"}}}`, 409, "OverQuota", "Quota exceeded for resources: ['router'].", nil},

	// Converters are InvalidInput, validators HTTPBadRequest.
	{"a boolean", "member", "POST", "networks", `{"network":{"admin_state_up":"maybe"}}`, 400, invalid, input + "'maybe' cannot be converted to boolean.", nil},
	{"a boolean of 2", "member", "PUT", "networks/{net}", `{"network":{"admin_state_up":2}}`, 400, invalid, input + "'2' cannot be converted to boolean.", nil},
	{"an integer", "member", "POST", "subnets", `{"subnet":{"network_id":"{net}","cidr":"10.9.0.0/24","ip_version":"six"}}`, 400, invalid, input + "'six' is not an integer.", nil},
	{"a value out of a list", "member", "POST", "subnets", `{"subnet":{"network_id":"{net}","cidr":"10.9.0.0/24","ip_version":5}}`, 400, bad, "Invalid input for ip_version. Reason: 5 is not in valid_values.", nil},
	{"a UUID", "member", "POST", "ports", `{"port":{"network_id":"x"}}`, 400, bad, "Invalid input for network_id. Reason: 'x' is not a valid UUID.", nil},
	{"a name that is none", "member", "PUT", "networks/{net}", `{"network":{"name":null}}`, 400, bad, "Invalid input for name. Reason: 'None' is not a valid string.", nil},
	{"a name too long", "member", "PUT", "networks/{net}", `{"network":{"name":"{long}"}}`, 400, bad, "Invalid input for name. Reason: '{long}' exceeds maximum length of 255.", nil},
	{"a MAC address", "admin", "POST", "ports", `{"port":{"network_id":"{net}","mac_address":"x"}}`, 400, bad, "Invalid input for mac_address. Reason: 'x' is not a valid MAC address.", nil},
	{"everybody's MAC address", "admin", "POST", "ports", `{"port":{"network_id":"{net}","mac_address":"ff:ff:ff:ff:ff:ff"}}`, 400, bad, "Invalid input for mac_address. Reason: 'ff:ff:ff:ff:ff:ff' is not a valid MAC address.", nil},
	{"an address twice", "member", "POST", "ports", `{"port":{"network_id":"{net}","fixed_ips":[{"ip_address":"10.1.0.9"},{"ip_address":"10.1.0.9"}]}}`, 400, bad, "Invalid input for fixed_ips. Reason: Duplicate IP address '10.1.0.9'.", nil},
	{"a negative MTU", "member", "POST", "networks", `{"network":{"mtu":-1}}`, 400, bad, "Invalid input for mtu. Reason: '-1' should be non-negative.", nil},

	// Attributes.
	{"unknown in PUT", "member", "PUT", "networks/{net}", `{"network":{"bogus":1}}`, 400, bad, "Unrecognized attribute(s) 'bogus'", nil},
	{"read-only in POST", "member", "POST", "ports", `{"port":{"network_id":"{net}","status":"ACTIVE"}}`, 400, bad, "Attribute 'status' not allowed in POST", nil},
	{"read-only in PUT", "member", "PUT", "subnets/{subnet}", `{"subnet":{"cidr":"10.9.0.0/24"}}`, 400, bad, "Cannot update read-only attribute cidr", nil},
	{"a required one missing", "member", "POST", "subnets", `{"subnet":{"network_id":"{net}","cidr":"10.9.0.0/24"}}`, 400, bad, "Failed to parse request. Required attribute 'ip_version' not specified", nil},
	{"two projects", "admin", "POST", "networks", `{"network":{"tenant_id":"{project}","project_id":"{other}"}}`, 400, bad, "'project_id' and 'tenant_id' do not match", nil},
	{"somebody else's project", "member", "POST", "networks", `{"network":{"project_id":"{other}"}}`, 400, bad, "Specifying 'project_id' or 'tenant_id' other than the authenticated project in request requires admin or advsvc privileges", nil},
	{"somebody else's project by its old name", "member", "POST", "networks", `{"network":{"tenant_id":"{other}"}}`, 400, bad, "Specifying 'project_id' or 'tenant_id' other than the authenticated project in request requires admin or advsvc privileges", nil},

	// Methods and paths.
	{"PATCH", "member", "PATCH", "networks/{net}", `{"network":{"name":"x"}}`, 405, "", "", nil},
	{"HEAD", "member", "HEAD", "networks", ``, 405, "", "", nil},
	{"PUT on a collection", "member", "PUT", "networks", `{"network":{"name":"x"}}`, 404, "NetworkNotFound", "Network None could not be found.", nil},
	{"DELETE on a collection", "member", "DELETE", "networks", ``, 404, "NetworkNotFound", "Network None could not be found.", nil},
	{"POST on an item", "member", "POST", "networks/{net}", `{"network":{"name":"x"}}`, 405, "", "", nil},
	{"GET of an action", "member", "GET", "routers/{router}/add_router_interface", ``, 405, "", "", nil},
	{"an unknown path", "member", "GET", "bogus", ``, 404, "HTTPNotFound", gone, nil},
	{"below an item", "member", "GET", "networks/{net}/bogus", ``, 404, "HTTPNotFound", gone, nil},
	{"an unknown extension", "member", "GET", "extensions/bogus", ``, 404, "", "", nil},

	// Lists.
	{"a filter that is no attribute", "member", "GET", "networks?bogus=1", ``, 400, bad, "['bogus'] is invalid attribute for filtering", nil},
	{"a filter that is none", "member", "GET", "networks?subnets={subnet}", ``, 400, bad, "['subnets'] is invalid attribute for filtering", nil},
	{"a filter's value", "member", "GET", "networks?admin_state_up=maybe", ``, 400, invalid, input + "'maybe' cannot be converted to boolean.", nil},
	{"a sort key that is no attribute", "member", "GET", "networks?sort_key=bogus&sort_dir=asc", ``, 400, bad, "['bogus'] is invalid attribute for sort_keys", nil},
	{"a sort key that is none", "member", "GET", "networks?sort_key=subnets&sort_dir=asc", ``, 400, bad, "['subnets'] is invalid attribute for sort_keys", nil},
	{"a sort direction", "member", "GET", "networks?sort_key=name&sort_dir=up", ``, 400, bad, "['up'] is invalid value for sort_dirs, valid value is 'asc' and 'desc'", nil},
	{"more directions than keys", "member", "GET", "networks?sort_key=name&sort_dir=asc&sort_dir=asc", ``, 400, bad, "The number of sort_keys and sort_dirs must be same", nil},
	{"more keys than directions", "member", "GET", "networks?sort_key=name&sort_key=id&sort_dir=asc", ``, 400, bad, "The number of sort_keys and sort_dirs must be same", nil},
	{"a negative limit", "member", "GET", "networks?limit=-1", ``, 400, "BadRequest", "Bad limit request: Limit must be an integer 0 or greater and not '-1'.", nil},
	{"a limit that is no number", "member", "GET", "networks?limit=x", ``, 400, "BadRequest", "Bad limit request: Limit must be an integer 0 or greater and not 'x'.", nil},
	{"a marker that is not there", "member", "GET", "networks?limit=1&marker={none}", ``, 404, "NetworkNotFound", "Network {none} could not be found.", nil},
	{"a marker that is not there, of ports", "member", "GET", "ports?limit=1&marker={none}", ``, 404, "PortNotFound", "Port {none} could not be found.", nil},

	// If-Match.
	{"an old revision", "member", "PUT", "networks/{net}", `{"network":{"name":"x"}}`, 412, "RevisionNumberConstraintFailed", "Constrained to 999, but current revision is {revision}", []string{"If-Match: revision_number=999"}},
	{"an old revision in DELETE", "member", "DELETE", "ports/{port}", ``, 412, "RevisionNumberConstraintFailed", "", []string{"If-Match: revision_number=999"}},
	{"a revision that is none", "member", "PUT", "networks/{net}", `{"network":{"name":"x"}}`, 400, "BadRequest", "", []string{"If-Match: revision_number=x"}},
	{"a condition that is none", "member", "PUT", "networks/{net}", `{"network":{"name":"x"}}`, 400, "BadRequest", "", []string{"If-Match: revision_number=bogus"}},
	{"two revisions", "member", "PUT", "networks/{net}", `{"network":{"name":"x"}}`, 400, "BadRequest", "", []string{"If-Match: revision_number=1, revision_number=2"}},

	// Policy.
	{"an attribute for administrators", "member", "POST", "networks", `{"network":{"shared":true}}`, 403, "PolicyNotAuthorized", "(rule:create_network and rule:create_network:shared)" + denied, nil},
	{"a provider attribute", "member", "POST", "networks", `{"network":{"provider:network_type":"vxlan"}}`, 403, "PolicyNotAuthorized", "(rule:create_network and rule:create_network:provider:network_type)" + denied, nil},
	{"an attribute for administrators in PUT", "member", "PUT", "networks/{net}", `{"network":{"shared":true}}`, 403, "PolicyNotAuthorized", "(rule:update_network and rule:update_network:shared)" + denied, nil},
	{"a change of what one may only see", "member", "PUT", "networks/{shared}", `{"network":{"name":"x"}}`, 403, "PolicyNotAuthorized", "rule:update_network" + denied, nil},
	{"deleting what one may only see", "member", "DELETE", "networks/{shared}", ``, 403, "PolicyNotAuthorized", "rule:delete_network" + denied, nil},
	{"a subnet on what one may only see", "member", "POST", "subnets", `{"subnet":{"network_id":"{shared}","cidr":"10.9.0.0/24","ip_version":4}}`, 403, "PolicyNotAuthorized", "rule:create_subnet" + denied, nil},
	{"what one may not see", "member", "GET", "networks/{foreign}", ``, 404, "NetworkNotFound", "Network {foreign} could not be found.", nil},
	{"a change of what one may not see", "member", "PUT", "networks/{foreign}", `{"network":{"name":"x"}}`, 404, "", "", nil},
	{"deleting what one may not see", "member", "DELETE", "networks/{foreign}", ``, 404, "", "", nil},
	{"a port on what one may not see", "member", "POST", "ports", `{"port":{"network_id":"{foreign}"}}`, 404, "NetworkNotFound", "Network {foreign} could not be found.", nil},
	{"a device owner of the network's", "member", "POST", "ports", `{"port":{"network_id":"{shared}","device_owner":"network:dhcp"}}`, 403, "PolicyNotAuthorized", "(rule:create_port and rule:create_port:device_owner)" + denied, nil},
	{"a chosen MAC on a shared network", "member", "POST", "ports", `{"port":{"network_id":"{shared}","mac_address":"fa:16:3e:11:22:33"}}`, 403, "PolicyNotAuthorized", "(rule:create_port and rule:create_port:mac_address)" + denied, nil},
	{"a host", "member", "PUT", "ports/{port}", `{"port":{"binding:host_id":"x"}}`, 403, "PolicyNotAuthorized", "(rule:update_port and rule:update_port:binding:host_id)" + denied, nil},
	{"somebody else's quotas", "member", "GET", "quotas/{other}", ``, 403, "PolicyNotAuthorized", "", nil},
	{"one's own quotas", "member", "PUT", "quotas/{project}", `{"quota":{"router":99}}`, 403, "PolicyNotAuthorized", "", nil},
	{"the agents", "member", "PUT", "agents/{none}", `{"agent":{"admin_state_up":false}}`, 404, "", "", nil},

	// Quotas.
	{"one too many", "member", "POST", "routers", `{"router":{}}`, 409, "OverQuota", "Quota exceeded for resources: ['router'].", nil},
	{"several too many", "member", "POST", "subnets", `{"subnets":[{"network_id":"{net}","cidr":"10.9.0.0/24","ip_version":4},{"network_id":"{net}","cidr":"10.9.1.0/24","ip_version":4},{"network_id":"{net}","cidr":"10.9.2.0/24","ip_version":4}]}`, 409, "OverQuota", "Quota exceeded for resources: ['subnet'].", nil},
	{"a quota of something unknown", "admin", "PUT", "quotas/{project}", `{"quota":{"bogus":1}}`, 400, bad, "Unrecognized attribute(s) 'bogus'", nil},
	{"a quota below -1", "admin", "PUT", "quotas/{project}", `{"quota":{"port":-2}}`, 400, bad, "", nil},
	{"a quota that is no number", "admin", "PUT", "quotas/{project}", `{"quota":{"port":"x"}}`, 400, invalid, input + "'x' is not an integer.", nil},
	{"resetting quotas never set", "admin", "DELETE", "quotas/{none}", ``, 404, "TenantQuotaNotFound", "", nil},

	// The rules of the nouns.
	{"what is not there", "member", "GET", "ports/{none}", ``, 404, "PortNotFound", "Port {none} could not be found.", nil},
	{"changing what is not there", "admin", "PUT", "subnets/{none}", `{"subnet":{"name":"x"}}`, 404, "SubnetNotFound", "Subnet {none} could not be found.", nil},
	{"deleting what is not there", "admin", "DELETE", "routers/{none}", ``, 404, "RouterNotFound", "Router {none} could not be found", nil},
	{"a network with ports", "member", "DELETE", "networks/{net}", ``, 409, "NetworkInUse", "", nil},
	{"a subnet with ports", "member", "DELETE", "subnets/{subnet}", ``, 409, "SubnetInUse", "", nil},
	{"a router with interfaces", "member", "DELETE", "routers/{router}", ``, 409, "RouterInUse", "", nil},
	{"a router's port", "member", "DELETE", "ports/{interface}", ``, 409, "ServicePortInUse", "", nil},
	{"an overlapping subnet", "member", "POST", "subnets", `{"subnet":{"network_id":"{net}","cidr":"10.1.0.128/25","ip_version":4}}`, 400, invalid, "", nil},
	{"the other IP version", "member", "POST", "subnets", `{"subnet":{"network_id":"{net}","cidr":"10.9.0.0/24","ip_version":6}}`, 400, invalid, "", nil},
	{"pools beyond the subnet", "member", "POST", "subnets", `{"subnet":{"network_id":"{net}","cidr":"10.9.0.0/24","ip_version":4,"allocation_pools":[{"start":"10.9.0.9","end":"10.9.1.9"}]}}`, 400, "OutOfBoundsAllocationPool", "", nil},
	{"a gateway in a pool", "member", "POST", "subnets", `{"subnet":{"network_id":"{net}","cidr":"10.9.0.0/24","ip_version":4,"gateway_ip":"10.9.0.9","allocation_pools":[{"start":"10.9.0.9","end":"10.9.0.19"}]}}`, 409, "GatewayConflictWithAllocationPools", "", nil},
	{"an address that is taken", "member", "POST", "ports", `{"port":{"network_id":"{net}","fixed_ips":[{"ip_address":"{address}"}]}}`, 409, "IpAddressAlreadyAllocated", "", nil},
	{"an address of no subnet", "member", "POST", "ports", `{"port":{"network_id":"{net}","fixed_ips":[{"ip_address":"10.77.0.1"}]}}`, 400, "InvalidIpForNetwork", "", nil},
	{"a group that is not there", "member", "POST", "ports", `{"port":{"network_id":"{net}","security_groups":["{none}"]}}`, 404, "SecurityGroupNotFound", "", nil},
	{"a rule that is there", "member", "POST", "security-group-rules", `{"security_group_rule":{"security_group_id":"{group}","direction":"ingress","protocol":"tcp","port_range_min":22,"port_range_max":22}}`, 409, "SecurityGroupRuleExists", "", nil},
	{"a port range without a protocol", "member", "POST", "security-group-rules", `{"security_group_rule":{"security_group_id":"{group}","direction":"ingress","port_range_min":22,"port_range_max":22}}`, 400, "SecurityGroupProtocolRequiredWithPorts", "", nil},
	{"an MTU too big", "member", "POST", "networks", `{"network":{"mtu":9000}}`, 400, invalid, "", nil},
	{"an unknown network type", "admin", "POST", "networks", `{"network":{"provider:network_type":"bogus"}}`, 400, invalid, "", nil},
	{"a physical network twice", "admin", "POST", "networks", `{"network":{"provider:network_type":"flat","provider:physical_network":"provider"}}`, 409, "FlatNetworkInUse", "", nil},
	{"a gateway on a network that is not external", "member", "PUT", "routers/{router}", `{"router":{"external_gateway_info":{"network_id":"{net}"}}}`, 400, "BadRequest", "", nil},
	{"an interface twice", "member", "PUT", "routers/{router}/add_router_interface", `{"subnet_id":"{subnet}"}`, 400, "BadRequest", "", nil},
	{"an interface of nothing", "member", "PUT", "routers/{router}/add_router_interface", `{}`, 400, "BadRequest", "", nil},
	{"a floating IP on a network that is not external", "member", "POST", "floatingips", `{"floatingip":{"floating_network_id":"{net}"}}`, 400, "BadRequest", "", nil},
	{"a floating IP without a way", "member", "POST", "floatingips", `{"floatingip":{"floating_network_id":"{ext}","port_id":"{port}"}}`, 404, "ExternalGatewayForFloatingIPNotFound", "", nil},
}

func TestErrors(t *testing.T) { onHost(t, testErrors) }

func testErrors(t *testing.T) {
	c := newCloud(t)
	c.start()
	users := map[string]*user{"admin": c.login("weft"), "member": c.login("weft-demo"), "nobody": c.login("weft-demo")}
	users["nobody"].token = ""
	names := fixtures(c, users["admin"], users["member"])
	db := c.database()
	before := c.settled(db)
	for _, r := range refusals {
		t.Run(strings.ReplaceAll(r.what, " ", "_"), func(t *testing.T) {
			r.check(t, users[r.who], names)
			after, err := dump(db)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("the database has changed (-before +after):\n%s", diff)
				before = after
			}
		})
	}
	t.Run("unauthorized", func(t *testing.T) { unauthorized(t, c, users["nobody"]) })
	if diff := cmp.Diff(before, c.settled(db)); diff != "" {
		t.Errorf("the database has changed in the end (-before +after):\n%s", diff)
	}
}

// fixtures makes what the requests are about, and returns the ids by name.
func fixtures(c *cloud, admin, member *user) *strings.Replacer {
	c.t.Helper()
	net := member.make(c, "networks", "network", `{"name":"mine"}`)
	subnet := member.make(c, "subnets", "subnet", `{"network_id":"`+net+`","cidr":"10.1.0.0/24","ip_version":4}`)
	port := member.make(c, "ports", "port", `{"network_id":"`+net+`","fixed_ips":[{"ip_address":"10.1.0.77"}]}`)
	router := member.make(c, "routers", "router", `{"name":"r"}`)
	res, err := member.do("PUT", "/v2.0/routers/"+router+"/add_router_interface", `{"subnet_id":"`+subnet+`"}`)
	if err != nil || res.status != 200 {
		c.t.Fatalf("%v %s", err, res.body)
	}
	var added struct {
		PortID string `json:"port_id"`
	}
	json.Unmarshal(res.body, &added)
	group := member.make(c, "security-groups", "security_group", `{"name":"g"}`)
	member.make(c, "security-group-rules", "security_group_rule", `{"security_group_id":"`+group+`","direction":"ingress","protocol":"tcp","port_range_min":22,"port_range_max":22}`)
	ext := admin.make(c, "networks", "network", `{"name":"ext","router:external":true,"provider:network_type":"flat","provider:physical_network":"provider"}`)
	admin.make(c, "subnets", "subnet", `{"network_id":"`+ext+`","cidr":"203.0.113.0/24","ip_version":4,"enable_dhcp":false}`)
	foreign := admin.make(c, "networks", "network", `{"name":"foreign"}`)
	shared := admin.make(c, "networks", "network", `{"name":"shared","shared":true}`)
	if res, err := admin.do("PUT", "/v2.0/quotas/"+member.project, `{"quota":{"router":1,"subnet":3}}`); err != nil || res.status != 200 {
		c.t.Fatalf("%v %s", err, res.body)
	}
	member.do("GET", "/v2.0/security-groups", "") // makes the default group
	admin.do("GET", "/v2.0/security-groups", "")
	c.settled(c.database())
	var n struct {
		Network struct {
			Revision int `json:"revision_number"`
		}
	}
	if res, err = member.do("GET", "/v2.0/networks/"+net, ""); err != nil || json.Unmarshal(res.body, &n) != nil {
		c.t.Fatalf("%v %s", err, res.body)
	}
	return strings.NewReplacer("{net}", net, "{subnet}", subnet, "{port}", port, "{address}", "10.1.0.77", "{router}", router,
		"{interface}", added.PortID, "{group}", group, "{ext}", ext, "{foreign}", foreign, "{shared}", shared, "{none}", absent,
		"{project}", member.project, "{other}", admin.project, "{long}", strings.Repeat("x", 256), "{revision}", fmt.Sprint(n.Network.Revision))
}

func (r *refusal) check(t *testing.T, u *user, names *strings.Replacer) {
	res, err := u.do(r.method, "/v2.0/"+names.Replace(r.path), names.Replace(r.body), r.headers...)
	if err != nil {
		t.Fatal(err)
	}
	if res.status != r.status {
		t.Errorf("status %d, want %d: %s", res.status, r.status, res.body)
	}
	if !strings.HasPrefix(res.header.Get("X-Openstack-Request-Id"), "req-") {
		t.Errorf("X-Openstack-Request-Id is %q", res.header.Get("X-Openstack-Request-Id"))
	}
	if r.typ == "" {
		return
	}
	var body struct {
		NeutronError *struct{ Type, Message, Detail *string }
	}
	if err := json.Unmarshal(res.body, &body); err != nil || body.NeutronError == nil {
		t.Fatalf("no NeutronError: %v %s", err, res.body)
	}
	e := body.NeutronError
	if e.Type == nil || e.Message == nil || e.Detail == nil {
		t.Fatalf("members are missing: %s", res.body)
	}
	if *e.Type != r.typ {
		t.Errorf("type %s, want %s (%s)", *e.Type, r.typ, *e.Message)
	}
	if want := names.Replace(r.message); want != "" && *e.Message != want {
		t.Errorf("message:\n     %s\nwant %s", *e.Message, want)
	}
	if *e.Message == "" {
		t.Error("it does not say why")
	}
}

// unauthorized checks the answer to those without a valid token, which is not
// Neutron's but that of Keystone's middleware.
func unauthorized(t *testing.T, c *cloud, u *user) {
	for _, token := range []string{"", "bogus"} {
		u.token = token
		for _, method := range []string{"GET", "POST", "DELETE"} {
			res, err := u.do(method, "/v2.0/networks", "")
			if err != nil {
				t.Fatal(err)
			}
			var got any
			json.Unmarshal(res.body, &got)
			want := map[string]any{"error": map[string]any{"code": 401.0, "title": "Unauthorized", "message": "The request you have made requires authentication."}}
			if res.status != http.StatusUnauthorized || !cmp.Equal(got, any(want)) {
				t.Errorf("%s with token %q: status %d, body %s", method, token, res.status, res.body)
			}
			if got, want := res.header.Get("WWW-Authenticate"), fmt.Sprintf(`Keystone uri="http://127.0.0.1:%d/v3"`, c.identity); got != want {
				t.Errorf("WWW-Authenticate is %q, want %q", got, want)
			}
		}
	}
	for path, want := range map[string]int{"/": 200, "/healthz": 200, "/healthcheck": 200, "/v2.0": 401, "/v3/networks": 404} {
		if res, err := u.do("GET", path, ""); err != nil || res.status != want {
			t.Errorf("GET %s: status %d, %v; want %d", path, res.status, err, want)
		}
	}
}
