package metadata

import (
	"crypto/hmac"
	"encoding/json"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/host"
)

// Backend is a metadata service for a machine without Nova. It knows of an
// instance what its ports tell, and answers the usual documents of both the
// OpenStack and the EC2 tree. It trusts nobody: like Nova it wants the headers
// of the proxy and checks the signature.
type Backend struct {
	secret    string
	instances atomic.Pointer[map[caller]*instance]
}

// instance is a device with its ports on the networks of this host.
type instance struct {
	id, project string
	hostname    string
	ports       []attachment // sorted by port id
}

// attachment is one port of an instance.
type attachment struct {
	portID  string
	mac     weft.MAC
	network *host.Network
	addrs   []host.Address
}

// NewBackend makes a Backend that knows nobody yet.
func NewBackend(secret string) *Backend {
	b := &Backend{secret: secret}
	b.instances.Store(&map[caller]*instance{})
	return b
}

// Update replaces what the Backend knows. It keeps references into s, which the
// caller must not change any more.
func (b *Backend) Update(s *host.State) {
	found := map[caller]*instance{}
	for i := range s.Networks {
		n := &s.Networks[i]
		for j := range n.Leases {
			if l := &n.Leases[j]; isInstance(l) {
				add(found, n, l)
			}
		}
	}
	for _, in := range found {
		slices.SortFunc(in.ports, func(a, b attachment) int { return strings.Compare(a.portID, b.portID) })
	}
	b.instances.Store(&found)
}

// isInstance tells ports of instances from those of the network's own services.
func isInstance(l *host.Lease) bool {
	return l.DeviceID != "" && !strings.HasPrefix(l.Owner, "network:")
}

func add(found map[caller]*instance, n *host.Network, l *host.Lease) {
	who := caller{device: l.DeviceID, project: l.ProjectID}
	in := found[who]
	if in == nil {
		in = &instance{id: l.DeviceID, project: l.ProjectID}
		found[who] = in
	}
	if in.hostname == "" {
		in.hostname = l.Hostname
	}
	if in.hostname != "" && !strings.Contains(in.hostname, ".") && n.DHCP != nil && n.DHCP.Domain != "" {
		in.hostname += "." + n.DHCP.Domain
	}
	in.ports = append(in.ports, attachment{portID: l.PortID, mac: l.MAC, network: n, addrs: l.Addresses})
}

// ServeHTTP implements http.Handler. Refusals have Nova's statuses and words.
func (b *Backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, project := r.Header.Get(headerInstance), r.Header.Get(headerTenant)
	switch {
	case id == "":
		http.Error(w, "X-Instance-ID header is missing from request.", http.StatusBadRequest)
		return
	case project == "":
		http.Error(w, "X-Tenant-ID header is missing from request.", http.StatusBadRequest)
		return
	case !hmac.Equal([]byte(Sign(b.secret, id)), []byte(r.Header.Get(headerSignature))):
		http.Error(w, "Invalid proxy request signature.", http.StatusForbidden)
		return
	}
	in := (*b.instances.Load())[caller{device: id, project: project}]
	if in == nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set(headerInstance, id)
	w.Header().Set(headerTenant, project)
	in.serve(w, r)
}

func (in *instance) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	body, kind, ok := in.document(r.URL.Path, r.Header.Get(headerForwarded))
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Write(body)
}

const (
	plain = "text/plain; charset=utf-8"
	jsonT = "application/json"
)

// document is what stands at path. from is the address the instance asks by.
func (in *instance) document(path, from string) (body []byte, kind string, ok bool) {
	parts := strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
	switch {
	case len(parts) == 0:
		return lines(ec2Versions()...), plain, true
	case parts[0] == "openstack":
		return in.openstack(parts[1:])
	case slices.Contains(ec2Versions(), parts[0]):
		return in.ec2(parts[1:], from)
	}
	return nil, "", false
}

// ec2Versions and openstackVersions are what Nova lists; the documents here are
// the same in all of them.
func ec2Versions() []string {
	return []string{
		"1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10",
		"2007-12-15", "2008-02-01", "2008-09-01", "2009-04-04", "latest",
	}
}

func openstackVersions() []string {
	return []string{
		"2012-08-10", "2013-04-04", "2013-10-17", "2015-10-15", "2016-06-30",
		"2016-10-06", "2017-02-22", "2018-08-27", "2020-10-14", "latest",
	}
}

func lines(s ...string) []byte { return []byte(strings.Join(s, "\n")) }

func (in *instance) openstack(parts []string) ([]byte, string, bool) {
	switch {
	case len(parts) == 0:
		return lines(openstackVersions()...), plain, true
	case !slices.Contains(openstackVersions(), parts[0]) || len(parts) > 2:
		return nil, "", false
	case len(parts) == 1:
		return lines("meta_data.json", "network_data.json", "vendor_data.json"), plain, true
	}
	switch parts[1] {
	case "meta_data.json":
		return in.metaData(), jsonT, true
	case "network_data.json":
		return in.networkData(), jsonT, true
	case "vendor_data.json":
		return []byte("{}"), jsonT, true
	}
	return nil, "", false
}

// name is the host name without its domain.
func (in *instance) name() string {
	name, _, _ := strings.Cut(in.fullName(), ".")
	return name
}

// fullName is the name DHCP gives too, when the port has none of its own.
func (in *instance) fullName() string {
	if in.hostname != "" {
		return in.hostname
	}
	for _, p := range in.ports {
		if len(p.addrs) == 0 {
			continue
		}
		name := "host-" + strings.NewReplacer(".", "-", ":", "-").Replace(p.addrs[0].Prefix.Addr().String())
		if d := p.network.DHCP; d != nil && d.Domain != "" {
			name += "." + d.Domain
		}
		return name
	}
	return in.id
}

func (in *instance) metaData() []byte {
	return encode(struct {
		UUID      string            `json:"uuid"`
		Project   string            `json:"project_id"`
		Hostname  string            `json:"hostname"`
		Name      string            `json:"name"`
		Index     int               `json:"launch_index"`
		Zone      string            `json:"availability_zone"`
		Devices   []string          `json:"devices"`
		Meta      map[string]string `json:"meta"`
		Dedicated []int             `json:"dedicated_cpus"`
	}{in.id, in.project, in.fullName(), in.name(), 0, "nova", []string{}, map[string]string{}, []int{}})
}

// encode never fails: what it is given are strings, numbers, lists and maps.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		return []byte("{}")
	}
	return b
}

// ec2 answers below /latest. A list of names ends those that have more below
// them with a slash.
func (in *instance) ec2(parts []string, from string) ([]byte, string, bool) {
	switch {
	case len(parts) == 0:
		return lines("meta-data/"), plain, true
	case parts[0] != "meta-data":
		return nil, "", false
	}
	tree := in.ec2Tree(from)
	path := strings.Join(parts[1:], "/")
	if v, ok := tree[path]; ok {
		return []byte(v), plain, true
	}
	if list := children(tree, path); len(list) > 0 {
		return lines(list...), plain, true
	}
	return nil, "", false
}

func (in *instance) ec2Tree(from string) map[string]string {
	tree := map[string]string{
		"ami-launch-index":            "0",
		"hostname":                    in.fullName(),
		"instance-id":                 in.id,
		"instance-action":             "none",
		"local-hostname":              in.fullName(),
		"local-ipv4":                  in.ipv4(from),
		"placement/availability-zone": "nova",
		"public-hostname":             in.fullName(),
	}
	for i, p := range in.ports {
		if i == 0 || p.has(from) {
			tree["mac"] = p.mac.String()
		}
		at := "network/interfaces/macs/" + p.mac.String() + "/"
		tree[at+"mac"] = p.mac.String()
		tree[at+"interface-id"] = p.portID
		tree[at+"local-ipv4s"] = string(lines(p.ipv4s()...))
	}
	return tree
}

// children are the names directly below path.
func children(tree map[string]string, path string) []string {
	if path != "" {
		path += "/"
	}
	seen := map[string]bool{}
	for key := range tree {
		rest, below := strings.CutPrefix(key, path)
		if !below {
			continue
		}
		name, _, deeper := strings.Cut(rest, "/")
		if deeper {
			name += "/"
		}
		seen[name] = true
	}
	var out []string
	for name := range seen {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func (p *attachment) has(addr string) bool {
	return slices.ContainsFunc(p.addrs, func(a host.Address) bool { return a.Prefix.Addr().String() == addr })
}

func (p *attachment) ipv4s() (out []string) {
	for _, a := range p.addrs {
		if a.Prefix.Addr().Is4() {
			out = append(out, a.Prefix.Addr().String())
		}
	}
	return out
}

// ipv4 is the address the instance asks by, else its first one.
func (in *instance) ipv4(from string) string {
	if a, err := netip.ParseAddr(from); err == nil && a.Is4() {
		return from
	}
	for i := range in.ports {
		if v4 := in.ports[i].ipv4s(); len(v4) > 0 {
			return v4[0]
		}
	}
	return ""
}
