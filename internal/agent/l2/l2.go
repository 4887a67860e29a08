package l2

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/host"
)

// Config is what the operator says about the host.
type Config struct {
	Physnets  map[string]string // physical network -> interface
	VTEP      netip.Addr        // this host's tunnel end; invalid: the kernel chooses
	VXLANPort uint16            // UDP; 0: 8472, the kernel's and Neutron's default

	// ARPProxy answers ARP for the peers that the State names from the tunnel
	// device. The kernel then drops requests for all other addresses on their way
	// to other hosts, so that allowed address pairs that move do not work.
	ARPProxy bool
}

const defaultVXLANPort = 8472

// Agent realises the networks and ports of a State. Its phases belong into one
// goroutine, in the order Prepare, Wire, Prune.
type Agent struct {
	link *link.Handle
	cfg  Config
	log  *slog.Logger

	seen    *observed          // what the kernel has, if we have not changed it since
	index   map[string]int     // of interfaces seen or made last
	tunnels tunnels            // whose entries were seen to be right
	failed  map[string]string  // network id -> why Prepare could not do it
	waiting bool               // Prune waits for others to leave bridges
	settled map[string]settled // what Wire left as it shall be, by name

	unsettled map[string]bool // taps of the State that it did not

	wired map[string]int // taps that were seen on their bridges, with their indexes; nil before the first pass
	added map[string]int // those of them that are weft's to add
}

// New makes an Agent for the namespace of h, which stays the caller's.
func New(h *link.Handle, cfg Config, log *slog.Logger) *Agent {
	if cfg.VXLANPort == 0 {
		cfg.VXLANPort = defaultVXLANPort
	}
	return &Agent{link: h, cfg: cfg, log: log, tunnels: tunnels{lasts: time.Minute}}
}

// Prepare makes the bridges of the State's networks and connects them to other
// hosts. A network that fails does not stop the next; the error names all that
// failed, and Wire gives the reason to their ports. Unless fresh is set, no event
// has come since the phase before, and interfaces are as they were then.
func (a *Agent) Prepare(ctx context.Context, s *host.State, fresh bool) error {
	if fresh {
		a.seen = nil
	}
	o, err := a.observed(s)
	if err == nil {
		err = o.details(a.link, &a.cfg, s, &a.tunnels)
	}
	if err != nil {
		return err
	}
	ops, failed := planNetworks(&a.cfg, s, o)
	errs := a.apply(ctx, ops)
	for id, err := range errs {
		failed[id] = err
	}
	a.tunnels.note(s, o, a.index, failed)
	a.failed = map[string]string{}
	var all []error
	for id, err := range failed {
		a.failed[id] = err.Error()
		all = append(all, fmt.Errorf("network %s: %w", id, err))
	}
	return errors.Join(all...)
}

// Wire puts the taps that are there on their bridges, and takes off those that do
// not belong there any more. It returns, for every port of the State, why it is
// not connected, or "". If hold is not empty it is a reason to connect nothing new.
func (a *Agent) Wire(ctx context.Context, s *host.State, hold string) (map[string]string, error) {
	o, err := a.observed(s)
	if err != nil {
		return nil, err
	}
	gone := func(name string, index int) bool { return o.byName[name].Index != index }
	maps.DeleteFunc(a.wired, gone)
	maps.DeleteFunc(a.added, gone)
	reasons, err := a.wire(ctx, s, o, hold)
	a.settle(s, reasons)
	return reasons, err
}

// Rewire is Wire for some ports of the State that Wire was called with last, and
// the parents and subports of these. It looks at their taps and bridges only.
func (a *Agent) Rewire(ctx context.Context, s *host.State, hold string, ports []string) (map[string]string, error) {
	part := pick(s, ports)
	o, err := a.glance(part)
	if err != nil {
		return nil, err
	}
	reasons, err := a.wire(ctx, part, o, hold)
	a.settlePorts(part, reasons)
	return reasons, err
}

// pick is the part of a State that some ports need. With a parent go its subports,
// whose taps came and went with its, and with a subport its parent.
func pick(s *host.State, ports []string) *host.State {
	part := &host.State{Cloud: s.Cloud, Host: s.Host, Revision: s.Revision}
	networks, wanted, parents := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, id := range ports {
		wanted[id] = true
	}
	for i := range s.Ports {
		if p := &s.Ports[i]; p.Parent != "" && wanted[p.ID] {
			parents[p.Parent] = true
		}
	}
	for i := range s.Ports {
		if p := &s.Ports[i]; wanted[p.ID] || wanted[p.Parent] || parents[p.ID] {
			part.Ports = append(part.Ports, *p)
			networks[p.NetworkID] = true
		}
	}
	for i := range s.Networks {
		if networks[s.Networks[i].ID] {
			part.Networks = append(part.Networks, s.Networks[i])
		}
	}
	return part
}

// about leaves out the interfaces that are neither taps nor bridges of a State, as
// is what a part of a State says nothing of.
func about(s *host.State, links []link.Link) []link.Link {
	names := map[string]bool{}
	for i := range s.Networks {
		names[host.BridgeName(s.Networks[i].ID)] = true
	}
	for i := range s.Ports {
		names[host.TapName(s.Ports[i].ID)] = true
	}
	return slices.DeleteFunc(links, func(l link.Link) bool { return !names[l.Name] })
}

// few is up to how many interfaces are asked for one by one.
const few = 100

// glance observes the taps and bridges of a State.
func (a *Agent) glance(s *host.State) (*observed, error) {
	if len(s.Ports) > few {
		links, err := a.link.List()
		return observedBy(s.Cloud, about(s, links)), err
	}
	var links []link.Link
	look := func(name string) error {
		l, err := a.link.ByName(name)
		if errors.Is(err, link.ErrNotFound) {
			return nil
		}
		links = append(links, l)
		a.index[name] = l.Index
		return err
	}
	for i := range s.Networks {
		if err := look(host.BridgeName(s.Networks[i].ID)); err != nil {
			return nil, err
		}
	}
	for i := range s.Ports {
		if err := look(host.TapName(s.Ports[i].ID)); err != nil {
			return nil, err
		}
	}
	return observedBy(s.Cloud, links), nil
}

func (a *Agent) wire(ctx context.Context, s *host.State, o *observed, hold string) (map[string]string, error) {
	if a.wired == nil { // those that run since before this process have rules of before
		a.wired, a.added = map[string]int{}, map[string]int{}
		a.noteTaps(s, o, func(p *host.Port, l link.Link) bool {
			return l.Up && l.Master != 0 && l.Master == o.byName[host.BridgeName(p.NetworkID)].Index
		})
	}
	o.wired, o.added = a.wired, a.added
	ops, reasons := planPorts(s, o, a.failed, hold)
	var all []error
	for id, err := range a.apply(ctx, ops) {
		if errors.Is(err, link.ErrNotFound) {
			err = errors.New(absent(s, host.TapName(id))) // it went while we looked
		} else {
			all = append(all, fmt.Errorf("port %s: %w", id, err))
		}
		if _, ok := reasons[id]; ok {
			reasons[id] = err.Error()
		}
	}
	a.noteTaps(s, o, func(p *host.Port, _ link.Link) bool { return reasons[p.ID] == "" })
	return reasons, errors.Join(all...)
}

// noteTaps remembers the taps of ports that are where they belong.
func (a *Agent) noteTaps(s *host.State, o *observed, right func(*host.Port, link.Link) bool) {
	for i := range s.Ports {
		p := &s.Ports[i]
		l, ok := o.byName[host.TapName(p.ID)]
		if !ok || !right(p, l) {
			continue
		}
		if a.wired[l.Name] = l.Index; !o.addedByMaker(p, l) {
			a.added[l.Name] = l.Index
		}
	}
}

// Prune deletes bridges and tunnel devices of networks that are not in the State,
// once nothing of anybody else is on them.
func (a *Agent) Prune(ctx context.Context, s *host.State) error {
	o, err := a.observed(s)
	if err != nil {
		return err
	}
	if a.waiting = len(unwanted(s, &a.cfg, o)) > 0; !a.waiting {
		return nil
	}
	// Routers and DHCP services may have left a bridge since.
	if o, err = observe(a.link, &a.cfg, s, &a.tunnels); err != nil {
		return err
	}
	a.see(o)
	var all []error
	for _, err := range a.apply(ctx, planPrune(&a.cfg, s, o)) {
		all = append(all, err)
	}
	if o, err = a.observed(s); err == nil {
		a.waiting = len(unwanted(s, &a.cfg, o)) > 0
	}
	return errors.Join(append(all, err)...)
}

// Cleanup deletes every link of a cloud, whichever process made it, and gives
// physical interfaces their addresses back.
func (a *Agent) Cleanup(ctx context.Context, cloud string) error {
	o, err := observe(a.link, &a.cfg, &host.State{Cloud: cloud}, nil)
	if err != nil {
		return err
	}
	a.see(o)
	var all []error
	for _, err := range a.apply(ctx, planCleanup(&a.cfg, o)) {
		all = append(all, err)
	}
	return errors.Join(all...)
}

// observed is the kernel as it was seen in this pass, or as it is now if we have
// changed it since.
func (a *Agent) observed(s *host.State) (*observed, error) {
	if a.seen != nil {
		return a.seen, nil
	}
	links, err := a.link.List()
	if err == nil {
		a.see(observedBy(s.Cloud, links))
	}
	return a.seen, err
}

func (a *Agent) see(o *observed) {
	a.seen = o
	a.index = make(map[string]int, len(o.links))
	for _, l := range o.links {
		a.index[l.Name] = l.Index
	}
}

// apply does the operations in order and returns what failed, by the object the
// operation was for. After a failure the rest of the same object is left out.
func (a *Agent) apply(ctx context.Context, ops []Op) map[string]error {
	errs := map[string]error{}
	k := &kernel{a.link, a.index}
	for _, op := range ops {
		if errs[op.For] != nil {
			continue
		}
		a.seen = nil
		err := ctx.Err()
		if err == nil {
			err = op.run(k)
		}
		if err != nil {
			errs[op.For] = fmt.Errorf("%s: %w", op, err)
			continue
		}
		a.log.DebugContext(ctx, "applied", "op", op.text, "for", op.For)
	}
	return errs
}
