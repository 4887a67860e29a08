package wire

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/dataplane/mark"
	"github.com/weftnet/weft/internal/dataplane/netns"
)

// Kernel is one namespace, and the host it has legs to. It is not safe for
// concurrent use.
type Kernel struct {
	name  string
	cloud string
	root  *link.Handle
	ns    *link.Handle // nil: there is no such namespace yet
	id    uint64       // of the namespace
}

// Open opens a namespace of a cloud by its name; it need not exist. The host's handle
// stays the caller's; it must not be closed before the Kernel. A namespace of somebody
// else is netns.ErrNotOurs.
func Open(root *link.Handle, cloud, name string) (*Kernel, error) {
	k := &Kernel{name: name, cloud: cloud, root: root}
	ours, err := netns.Owned(name, cloud)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return k, nil
	case err != nil:
		return nil, err
	case !ours:
		return nil, fmt.Errorf("network namespace %s: %w", name, netns.ErrNotOurs)
	}
	if err := k.enter(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return k, nil
}

func (k *Kernel) enter() error {
	id, err := netns.ID(k.name)
	if err != nil {
		return err
	}
	if k.ns, err = link.OpenIn(k.name); err != nil {
		k.ns = nil
		return err
	}
	k.id = id
	return nil
}

// Close lets go of the namespace, which an open Kernel keeps alive.
func (k *Kernel) Close() {
	if k.ns != nil {
		k.ns.Close()
		k.ns = nil
	}
}

// NS is the namespace, nil while there is none. It is valid until Close.
func (k *Kernel) NS() *netns.NS {
	if k.ns == nil {
		return nil
	}
	return k.ns.NS()
}

// Current reports whether the name still stands for the namespace that was opened
// or made. If not, the Kernel has to be opened anew.
func (k *Kernel) Current() bool {
	id, err := netns.ID(k.name)
	return k.ns != nil && err == nil && id == k.id && netns.Exists(k.name)
}

// Run does operations in order. Those for a leg that one has failed for are left
// out; when one for the whole namespace fails, so are all others. The texts of those that
// were done and what went wrong, by leg, are the answer.
func (k *Kernel) Run(ops []Op, failed map[string]error) (done []string) {
	for _, op := range ops {
		if failed[""] != nil {
			return done
		}
		if failed[op.Device] != nil {
			continue
		}
		if err := op.run(k); err != nil {
			failed[op.Device] = err
			continue
		}
		done = append(done, op.Text)
	}
	return done
}

// Observe reads what the kernel has of a Space.
func (k *Kernel) Observe(s *Space) (Observed, error) {
	o := Observed{Exists: k.ns != nil, Bridges: map[string]int{}, Outer: map[string]link.Link{}}
	for _, l := range s.Legs {
		out, err := find(k.root, l.Outer)
		if err != nil {
			return o, err
		}
		o.Outer[l.Outer] = out
		if _, seen := o.Bridges[l.Bridge]; seen || l.Bridge == "" {
			continue
		}
		b, err := find(k.root, l.Bridge)
		if err != nil {
			return o, err
		}
		o.Bridges[l.Bridge] = b.Index
	}
	if k.ns == nil {
		return o, nil
	}
	return o, errors.Join(k.observeSettings(s, &o), k.observeInside(&o), k.observeProxied(&o))
}

func find(h *link.Handle, name string) (link.Link, error) {
	l, err := h.ByName(name)
	if errors.Is(err, link.ErrNotFound) {
		return link.Link{}, nil
	}
	return l, err
}

func (k *Kernel) observeSettings(s *Space, o *Observed) error {
	o.Settings = map[string]string{}
	return k.ns.NS().Do(func() error {
		for _, x := range s.Settings {
			b, err := os.ReadFile(filepath.Join("/proc/sys", x.Path))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			o.Settings[x.Path] = strings.TrimSpace(string(b))
		}
		return nil
	})
}

func (k *Kernel) observeInside(o *Observed) error {
	links, err := k.ns.List()
	if err != nil {
		return err
	}
	o.Inner, o.Addresses = map[string]link.Link{}, map[string][]netip.Prefix{}
	names := map[int]string{}
	for _, l := range links {
		o.Inner[l.Name], names[l.Index] = l, l.Name
		if l.Name == "lo" {
			continue
		}
		if o.Addresses[l.Name], err = k.ns.Addrs(l.Index); err != nil {
			return err
		}
	}
	routes, err := k.ns.Routes(0)
	for _, r := range routes {
		if r.Protocol == unix.RTPROT_STATIC || r.Protocol == unix.RTPROT_BOOT {
			route := Route{Dst: r.Dst, Via: r.Via, Device: names[r.Link]}
			for _, h := range r.More {
				route = route.Join(Hop{h.Via, names[h.Link]})
			}
			o.Routes = append(o.Routes, route)
		}
	}
	return err
}

// observeProxied looks only where there may be something: where the kernel answers
// for others.
func (k *Kernel) observeProxied(o *Observed) error {
	if v := o.Settings[ProxyNDP]; v == "" || v == "0" {
		return nil
	}
	proxied, err := k.ns.Proxies()
	o.Proxied = map[string][]netip.Addr{}
	for name, l := range o.Inner {
		if addrs := proxied[l.Index]; len(addrs) > 0 {
			o.Proxied[name] = addrs
		}
	}
	return err
}

func (k *Kernel) makeNamespace() error {
	if err := netns.Ensure(k.name, k.cloud); err != nil {
		return err
	}
	if ours, err := netns.Owned(k.name, k.cloud); err == nil && !ours { // somebody was faster
		return fmt.Errorf("network namespace %s: %w", k.name, netns.ErrNotOurs)
	}
	return k.enter()
}

func (k *Kernel) set(s Setting) error {
	err := k.ns.SetSysctl(s.Path, s.Value)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (k *Kernel) deleteOuter(l link.Link) error {
	if !mark.Of(k.cloud, l.Alias) {
		return fmt.Errorf("interface %s is there already and was not made by this weft (alias %q)", l.Name, l.Alias)
	}
	return k.root.Delete(l.Index)
}

func (k *Kernel) makeLeg(l Leg, bridge int) error {
	changes := []link.Change{link.Alias(l.Alias), link.MTU(l.MTU), link.NoAutoIPv6(), link.Up(true)}
	if bridge != 0 {
		changes = append(changes, link.Master(bridge))
	}
	_, err := k.root.Create(l.Outer, link.Veth{Peer: l.Device, PeerNS: k.ns.NS(), PeerMAC: l.MAC, PeerMTU: l.MTU}, changes...)
	return err
}

// inside runs do for a device of the namespace, by name: it may have been made in
// this plan.
func (k *Kernel) inside(device string, do func(index int) error) error {
	l, err := k.ns.ByName(device)
	if err != nil {
		return err
	}
	return do(l.Index)
}

// resolve is a route with the indexes of its devices.
func (k *Kernel) resolve(r Route) (link.Route, error) {
	out := link.Route{Dst: r.Dst, Via: r.Via}
	err := k.inside(r.Device, func(i int) error { out.Link = i; return nil })
	for _, h := range r.More {
		if err != nil {
			break
		}
		err = k.inside(h.Device, func(i int) error { out.More = append(out.More, link.Hop{Via: h.Via, Link: i}); return nil })
	}
	return out, err
}

// Delete deletes namespaces of a cloud with their legs, at once: were those left to
// the kernel, they would live on for as long as somebody has a socket in there. All
// go in one sweep, in which the kernel waits once. A namespace that is not there is
// no error.
func Delete(root *link.Handle, cloud string, prefixes []string, names ...string) error {
	var legs []int
	var errs []error
	for _, name := range names {
		some, err := outerEnds(root, cloud, name, prefixes)
		legs, errs = append(legs, some...), append(errs, err)
	}
	errs = append(errs, root.Delete(legs...))
	for _, name := range names {
		errs = append(errs, netns.Delete(name, cloud))
	}
	return errors.Join(errs...)
}

// outerEnds are the host ends of a namespace's legs.
func outerEnds(root *link.Handle, cloud, name string, prefixes []string) ([]int, error) {
	k, err := Open(root, cloud, name)
	if err != nil || k.ns == nil {
		return nil, err
	}
	defer k.Close()
	links, err := k.ns.List()
	var out []int
	for _, in := range links {
		if !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(in.Name, p) }) {
			continue
		}
		l, err := root.ByIndex(in.Peer)
		if err == nil && l.Peer == in.Index && mark.Of(cloud, l.Alias) {
			out = append(out, l.Index)
		}
	}
	return out, err
}
