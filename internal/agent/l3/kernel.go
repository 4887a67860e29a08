package l3

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/dataplane/netns"
)

// kernel is the host and one router's namespace.
type kernel struct {
	root *link.Handle
	ns   *link.Handle // nil while there is no namespace
}

func (k *kernel) close() {
	if k.ns != nil {
		k.ns.Close()
	}
}

// devicePrefixes begin the names of all devices we put into a router's namespace.
var devicePrefixes = []string{"qr-", "qg-"}

// observe reads what there is of w. A namespace or a device of somebody else by the
// same name is an error: it must be neither used nor deleted.
func (k *kernel) observe(w want, links map[string]link.Link) (have, error) {
	h := have{bridges: map[string]int{}, taps: map[string]link.Link{}, inside: map[string]link.Link{}, addresses: map[string][]netip.Prefix{}}
	for _, d := range w.devices {
		h.bridges[d.bridge] = links[d.bridge].Index
		tap := links[d.tap]
		if tap.Index != 0 && !strings.HasPrefix(tap.Alias, mark) {
			return h, fmt.Errorf("device %s is not ours (alias %q)", d.tap, tap.Alias)
		}
		h.taps[d.tap] = tap
	}
	if !netns.Exists(w.namespace) {
		return h, nil
	}
	if owned, err := netns.Owned(w.namespace); err != nil || !owned {
		return h, errors.Join(err, fmt.Errorf("namespace %s is not ours", w.namespace))
	}
	h.namespace = true
	var err error
	if k.ns, err = link.OpenIn(w.namespace); err != nil {
		return h, err
	}
	return h, k.look(&h)
}

func (k *kernel) look(h *have) error {
	links, err := k.ns.List()
	if err != nil {
		return err
	}
	for _, l := range links {
		for _, prefix := range devicePrefixes {
			if !strings.HasPrefix(l.Name, prefix) {
				continue
			}
			h.inside[l.Name] = l
			addrs, err := k.ns.Addrs(l.Index)
			if err != nil {
				return err
			}
			for _, a := range addrs {
				if a.Addr().Is4() || !a.Addr().IsLinkLocalUnicast() {
					h.addresses[l.Name] = append(h.addresses[l.Name], a)
				}
			}
		}
	}
	routes, err := k.ns.Routes(0)
	for _, r := range routes {
		if r.Protocol == unix.RTPROT_STATIC {
			h.routes = append(h.routes, r)
		}
	}
	if err != nil {
		return err
	}
	v, err := k.ns.Sysctl("net/ipv4/ip_forward")
	h.forward = v == "1"
	return err
}

// settings of a router's namespace beside forwarding: as Neutron sets them.
// Addresses that go must not take others of their subnet along.
var settings = map[string]string{
	"net/ipv4/conf/all/arp_ignore":          "1",
	"net/ipv4/conf/all/arp_announce":        "2",
	"net/ipv4/conf/all/rp_filter":           "0",
	"net/ipv4/conf/default/rp_filter":       "0",
	"net/ipv4/conf/all/promote_secondaries": "1",
	"net/ipv6/conf/default/accept_ra":       "0",
	"net/ipv6/conf/all/forwarding":          "1",
}

func (k *kernel) makeNamespace(name string) error {
	if err := netns.Ensure(name); err != nil {
		return err
	}
	var err error
	if k.ns, err = link.OpenIn(name); err != nil {
		return err
	}
	for path, value := range settings {
		if err := k.ns.SetSysctl(path, value); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("setting %s in %s: %w", path, name, err)
		}
	}
	return nil
}

func (k *kernel) forward(on bool) error {
	value := "0"
	if on {
		value = "1"
	}
	return k.ns.SetSysctl("net/ipv4/ip_forward", value)
}

func (k *kernel) makeVeth(d device, master int) error {
	changes := []link.Change{link.Alias(d.alias), link.MTU(d.mtu), link.NoAutoIPv6(), link.Up(true)}
	if master != 0 {
		changes = append(changes, link.Master(master))
	}
	_, err := k.root.Create(d.tap, link.Veth{Peer: d.name, PeerNS: k.ns.NS(), PeerMAC: d.mac, PeerMTU: d.mtu}, changes...)
	if err != nil {
		return err
	}
	return k.inside(d.name, func(i int) error { return k.ns.Set(i, link.Up(true)) })
}

// inside runs do for a device of the namespace, which may have been made in this
// plan.
func (k *kernel) inside(name string, do func(index int) error) error {
	l, err := k.ns.ByName(name)
	if err != nil {
		return err
	}
	return do(l.Index)
}

// replaceRoute makes a route. Without a device the kernel finds it by the next hop.
func (k *kernel) replaceRoute(r route) error {
	out := link.Route{Dst: r.dst, Via: r.via}
	if r.device == "" {
		return k.ns.ReplaceRoute(out)
	}
	return k.inside(r.device, func(i int) error {
		out.Link = i
		return k.ns.ReplaceRoute(out)
	})
}
