package metadata

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"

	"github.com/weftnet/weft/internal/agent/quiet"
	"github.com/weftnet/weft/internal/host"
)

// Config is what the operator decides.
type Config struct {
	// NovaURL is Nova's metadata API, e.g. http://controller:8775. Empty: the
	// Backend answers.
	NovaURL string
	// Secret is shared with Nova (metadata_proxy_shared_secret there).
	Secret string
}

// Agent keeps a metadata listener at every interface of the host that needs one.
type Agent struct {
	log       *slog.Logger
	secret    string
	next      http.Handler
	backend   *Backend // nil with Nova
	listeners map[door]*listener
}

// New makes an Agent without any listener.
func New(log *slog.Logger, c Config) (*Agent, error) {
	a := &Agent{log: log, secret: c.Secret, listeners: map[door]*listener{}}
	if c.NovaURL == "" {
		a.backend = NewBackend(c.Secret)
		a.next = a.backend
		return a, nil
	}
	n, err := newNova(quiet.Logger(log), c.NovaURL)
	if err != nil {
		return nil, err
	}
	a.next = n
	return a, nil
}

// door is an interface by which guests reach the service.
type door struct{ namespace, device string }

// endpoint is what there has to be at a door: an address to listen on, and who may
// ask there.
type endpoint struct {
	address string
	known   callers
}

// endpoints is the doors a host must have. A network's DHCP service is one for all
// of it. So is each interface of a router for those on its link: who is behind
// another, or behind somebody else, has another door.
func endpoints(s *host.State) map[door]endpoint {
	out := map[door]endpoint{}
	networks := map[string]*host.Network{}
	for i := range s.Networks {
		n := &s.Networks[i]
		networks[n.ID] = n
		if n.DHCP != nil {
			at := door{host.DHCPNamespace(n.ID), host.DHCPDevice(n.DHCP.PortID)}
			out[at] = endpoint{"169.254.169.254:80", callersOf(n, anybody)}
		}
	}
	for i := range s.Routers {
		r := &s.Routers[i]
		for j := range r.Interfaces {
			p := &r.Interfaces[j]
			at := door{host.RouterNamespace(r.ID), host.RouterDevice(p.PortID)}
			out[at] = endpoint{"0.0.0.0:9697", callersOf(networks[p.NetworkID], behind(r, p))}
		}
	}
	return out
}

// Converge makes the listeners those of s. Interfaces that are not there yet are
// an error, to be tried again; all others are served nevertheless. Listeners that
// are right are left alone, so that no request in progress is cut.
func (a *Agent) Converge(ctx context.Context, s *host.State) error {
	if a.backend != nil {
		a.backend.Update(s)
	}
	want := endpoints(s)
	for at, l := range a.listeners {
		if _, wanted := want[at]; !wanted || l.stale(at) {
			l.close()
			delete(a.listeners, at)
		}
	}
	var errs []error
	for _, at := range slices.SortedFunc(maps.Keys(want), door.compare) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := a.ensure(ctx, at, want[at]); err != nil {
			errs = append(errs, fmt.Errorf("metadata in %s at %s: %w", at.namespace, at.device, err))
		}
	}
	return errors.Join(errs...)
}

func (d door) compare(o door) int {
	return cmp.Or(cmp.Compare(d.namespace, o.namespace), cmp.Compare(d.device, o.device))
}

func (a *Agent) ensure(ctx context.Context, at door, e endpoint) error {
	if l := a.listeners[at]; l != nil {
		l.proxy.known.Store(&e.known)
		return nil
	}
	p := &proxy{log: quiet.Logger(a.log.With("namespace", at.namespace, "device", at.device)), secret: a.secret, next: a.next}
	p.known.Store(&e.known)
	l, err := listen(ctx, at, e.address, p)
	if err != nil {
		return err
	}
	a.listeners[at] = l
	return nil
}

// Close ends all listeners. What is in the kernel besides them is not the
// Agent's, and stays.
func (a *Agent) Close() {
	for at, l := range a.listeners {
		l.close()
		delete(a.listeners, at)
	}
}
