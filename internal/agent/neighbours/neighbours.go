package neighbours

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/host"
)

// owner is who has an address on a network.
type owner struct {
	network string
	addr    netip.Addr
}

// Agent keeps the neighbours of routers and services of one host. It is not safe for
// concurrent use.
type Agent struct {
	log  *slog.Logger
	told map[owner]weft.MAC // by the last State that was brought about
}

// New makes an Agent that knows nobody.
func New(log *slog.Logger) *Agent { return &Agent{log: log} }

// Converge has the namespaces of s forget other owners of addresses that are new since
// the last State, or had another MAC then. What they learn next is up to them: also by
// an address that moves between ports, as of address pairs, they lose but a question.
func (a *Agent) Converge(ctx context.Context, s *host.State) error {
	now := owners(s)
	fresh := map[string]map[netip.Addr]weft.MAC{} // by network
	for o, mac := range now {
		if a.told[o] == mac {
			continue
		}
		if fresh[o.network] == nil {
			fresh[o.network] = map[netip.Addr]weft.MAC{}
		}
		fresh[o.network][o.addr] = mac
	}
	if len(fresh) > 0 {
		if err := a.forget(ctx, ends(s), fresh); err != nil {
			return err
		}
	}
	a.told = now
	return nil
}

// owners is whose the addresses of a host's networks are.
func owners(s *host.State) map[owner]weft.MAC {
	out := map[owner]weft.MAC{}
	for i := range s.Networks {
		n := &s.Networks[i]
		for _, l := range n.Leases {
			for _, x := range l.Addresses {
				out[owner{n.ID, x.Prefix.Addr()}] = l.MAC
			}
		}
	}
	for i := range s.Ports { // also of networks that are not served here
		p := &s.Ports[i]
		for _, x := range p.Addresses {
			out[owner{p.NetworkID, x}] = p.MAC
		}
	}
	return out
}

// ends is the networks that devices in namespaces are on, by namespace and device.
func ends(s *host.State) map[string]map[string]string {
	out := map[string]map[string]string{}
	add := func(namespace, device, network string) {
		if out[namespace] == nil {
			out[namespace] = map[string]string{}
		}
		out[namespace][device] = network
	}
	for i := range s.Networks {
		if n := &s.Networks[i]; n.DHCP != nil {
			add(host.DHCPNamespace(n.ID), host.DHCPDevice(n.DHCP.PortID), n.ID)
		}
	}
	for i := range s.Routers {
		r := &s.Routers[i]
		for _, p := range r.Interfaces {
			add(host.RouterNamespace(r.ID), host.RouterDevice(p.PortID), p.NetworkID)
		}
		for _, g := range r.Gateways() {
			add(host.RouterNamespace(r.ID), host.GatewayDevice(g.PortID), g.NetworkID)
		}
	}
	return out
}

func (a *Agent) forget(ctx context.Context, ends map[string]map[string]string, fresh map[string]map[netip.Addr]weft.MAC) error {
	var errs []error
	for namespace, devices := range ends {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		for _, network := range devices {
			if len(fresh[network]) > 0 {
				errs = append(errs, a.forgetIn(namespace, devices, fresh))
				break
			}
		}
	}
	return errors.Join(errs...)
}

func (a *Agent) forgetIn(namespace string, devices map[string]string, fresh map[string]map[netip.Addr]weft.MAC) error {
	h, err := link.OpenIn(namespace)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // and has learned nothing
	}
	if err != nil {
		return err
	}
	defer h.Close()
	learned, err := h.Learned()
	if err != nil || len(learned) == 0 {
		return err
	}
	for device, network := range devices {
		l, err := h.ByName(device)
		if errors.Is(err, link.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		var former []link.Neighbour
		for _, n := range learned[l.Index] {
			if mac, ok := fresh[network][n.Addr]; ok && mac != n.MAC {
				former = append(former, n)
				a.log.Debug("neighbour forgotten", "namespace", namespace, "device", device, "address", n.Addr, "mac", n.MAC)
			}
		}
		if err := h.DeleteNeighbours(l.Index, former...); err != nil {
			return fmt.Errorf("in %s: %w", namespace, err)
		}
	}
	return nil
}
