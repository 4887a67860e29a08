package l3

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/agent/wire"
	"github.com/weftnet/weft/internal/dataplane/arp"
	"github.com/weftnet/weft/internal/dataplane/nft"
	"github.com/weftnet/weft/internal/host"
)

// router is what the Agent keeps of a router between two runs: nothing that it
// could not find out again.
type router struct {
	kernel  *wire.Kernel
	nft     *nft.Conn
	force   outdated             // translations in force
	checked bool                 // no connection is translated otherwise than by them
	further map[string]nft.Table // tables beside the translation's; nil: not known
}

// pass is one run for one router.
type pass struct {
	*router
	want   *host.Router
	space  *wire.Space
	have   wire.Observed
	done   []string
	failed map[string]error // by device; "" is the whole router
}

func (r *router) converge(ctx context.Context, cloud string, want *host.Router, announcer *arp.Announcer) Result {
	p := &pass{router: r, want: want, space: spaceOf(want).In(cloud), failed: map[string]error{}}
	if err := p.run(ctx, announcer); err != nil {
		p.failed[""] = err
	}
	return p.result()
}

// run lets no packet through untranslated: what translates is in force before a
// new address or route is, and until after an old one has gone. What a floating IP
// waits for comes before what takes time.
func (p *pass) run(ctx context.Context, announcer *arp.Announcer) (err error) {
	if p.have, err = p.kernel.Observe(p.space); err != nil {
		return err
	}
	plan := p.space.Plan(p.have)
	p.do(plan.Make)
	if p.failed[""] != nil {
		return p.failed[""]
	}
	changed, err := p.translate(ctx)
	if err != nil {
		return err
	}
	if err := p.keepFurther(ctx); err != nil {
		p.failed[furtherTables] = err
	}
	p.do(plan.Add)
	p.announce(plan.New, announcer)
	if err := p.forget(changed); err != nil {
		return err
	}
	p.do(plan.Remove)
	return nil
}

func (p *pass) do(ops []wire.Op) { p.done = append(p.done, p.kernel.Run(ops, p.failed)...) }

// translate puts the table in force and reports whether it had to be changed.
func (p *pass) translate(ctx context.Context) (bool, error) {
	if p.nft == nil {
		p.nft = nft.Open(p.kernel.NS().FD())
	}
	changes, err := p.nft.Converge(ctx, tableOf(p.want))
	for _, c := range changes {
		p.done = append(p.done, "nft "+c)
	}
	return len(changes) > 0, err
}

// forget ends the connections that are translated otherwise than by the table in
// force. Of a router that was found on the host, and is right, it leaves that to
// the Agent's leisure: only a process that died between changing the table and
// this has left any.
func (p *pass) forget(changed bool) error {
	o := inForce(p.want)
	was := p.force
	p.force = o
	o.gone = over(p.space, p.have)
	switch {
	case !p.have.Exists:
		p.checked = true
		return nil
	case len(o.gone) == 0 && !changed, len(o.gone) == 0 && p.checked && onlyMore(was, o):
		return nil
	}
	p.checked = false
	n, err := forget(p.kernel.NS(), o)
	if err != nil {
		return err
	}
	if n > 0 {
		p.done = append(p.done, fmt.Sprintf("ip netns exec %s conntrack -D: %d connections", p.space.Name, n))
	}
	p.checked = true
	return nil
}

// announce tells the neighbours of what is new, and does not wait.
func (p *pass) announce(fresh map[string][]netip.Addr, announcer *arp.Announcer) {
	for _, l := range p.space.Legs {
		addrs := slices.DeleteFunc(slices.Clone(fresh[l.Device]), netip.Addr.Is6)
		if len(addrs) == 0 || p.failed[l.Device] != nil {
			continue
		}
		announcer.Announce(p.space.Name, l.Device, addrs...)
		for _, a := range addrs {
			p.done = append(p.done, "ip netns exec "+p.space.Name+" arping -c 3 -U -I "+l.Device+" "+a.String())
		}
	}
}

func (p *pass) result() Result {
	r := Result{RouterID: p.want.ID, Done: p.done, FloatingIPs: map[string]string{}}
	for i := range p.want.Interfaces {
		in := &p.want.Interfaces[i]
		r.Ports = append(r.Ports, p.port(in, host.RouterDevice(in.PortID)))
	}
	for _, g := range p.want.Gateways() {
		r.Ports = append(r.Ports, p.port(g, host.GatewayDevice(g.PortID)))
	}
	translated := translations(p.want)
	for _, f := range p.want.FloatingIPs {
		switch {
		case p.want.Gateway == nil || !p.want.AdminUp:
			r.FloatingIPs[f.ID] = weft.StatusDown
		case p.outOfReach(f), f.Fixed.IsValid() && !slices.Contains(translated, f):
			r.FloatingIPs[f.ID] = weft.StatusError
		default:
			r.FloatingIPs[f.ID] = weft.StatusActive
		}
	}
	r.Err = p.err()
	return r
}

// outOfReach reports whether the gateway of a floating IP does not work.
func (p *pass) outOfReach(f host.FloatingIP) bool {
	g := p.want.GatewayOf(f)
	return p.trouble(g, host.GatewayDevice(g.PortID)) != nil
}

func (p *pass) port(in *host.RouterPort, device string) host.PortReport {
	out := host.PortReport{ID: in.PortID, Revision: in.Revision, Up: true}
	err := p.trouble(in, device)
	if err == nil && !p.want.AdminUp {
		err = errors.New("the router is administratively down")
	}
	if err != nil {
		out.Up, out.Reason = false, err.Error()
	}
	return out
}

// trouble is why a port of the router does not work, nil when it does.
func (p *pass) trouble(in *host.RouterPort, device string) error {
	if err := p.failed[""]; err != nil {
		return err
	}
	if err := p.failed[device]; err != nil {
		return err
	}
	if bridge := host.BridgeName(in.NetworkID); p.have.Bridges[bridge] == 0 {
		return fmt.Errorf("bridge %s is not there", bridge)
	}
	return nil
}

// err joins what went wrong, each thing once.
func (p *pass) err() error {
	if err := p.failed[""]; err != nil {
		return err
	}
	var errs []error
	for _, device := range slices.Sorted(maps.Keys(p.failed)) {
		errs = append(errs, p.failed[device])
	}
	for _, l := range p.space.Legs {
		if p.failed[l.Device] == nil && p.have.Bridges[l.Bridge] == 0 {
			errs = append(errs, fmt.Errorf("bridge %s is not there", l.Bridge))
		}
	}
	return errors.Join(errs...)
}
