package metadata

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"

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

// Agent keeps a metadata listener in every namespace of the host that needs one.
type Agent struct {
	log       *slog.Logger
	secret    string
	next      http.Handler
	backend   *Backend // nil with Nova
	listeners map[string]*listener
}

// New makes an Agent without any listener.
func New(log *slog.Logger, c Config) (*Agent, error) {
	a := &Agent{log: log, secret: c.Secret, listeners: map[string]*listener{}}
	if c.NovaURL == "" {
		a.backend = NewBackend(c.Secret)
		a.next = a.backend
		return a, nil
	}
	n, err := newNova(log, c.NovaURL)
	if err != nil {
		return nil, err
	}
	a.next = n
	return a, nil
}

// endpoint is where one listener has to be and whose questions it answers.
type endpoint struct {
	address  string
	networks []string // sorted ids, each once
}

// endpoints is the listeners a host must have, by namespace.
func endpoints(s *host.State) map[string]endpoint {
	out := map[string]endpoint{}
	for i := range s.Networks {
		if n := &s.Networks[i]; n.DHCP != nil && n.DHCP.Metadata {
			out[host.DHCPNamespace(n.ID)] = endpoint{address: "169.254.169.254:80", networks: []string{n.ID}}
		}
	}
	for i := range s.Routers {
		r := &s.Routers[i]
		var networks []string
		for _, p := range r.Interfaces {
			networks = append(networks, p.NetworkID)
		}
		slices.Sort(networks)
		out[host.RouterNamespace(r.ID)] = endpoint{address: "0.0.0.0:9697", networks: slices.Compact(networks)}
	}
	return out
}

// Converge makes the listeners those of s. Namespaces that are not there yet are
// an error, to be tried again; all others are served nevertheless. Listeners that
// are right are left alone, so that no request in progress is cut.
func (a *Agent) Converge(ctx context.Context, s *host.State) error {
	if a.backend != nil {
		a.backend.Update(s)
	}
	want := endpoints(s)
	for ns, l := range a.listeners {
		if _, wanted := want[ns]; !wanted || l.stale(ns) {
			l.close()
			delete(a.listeners, ns)
		}
	}
	var errs []error
	for _, ns := range slices.Sorted(maps.Keys(want)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := a.ensure(ctx, ns, want[ns], s); err != nil {
			errs = append(errs, fmt.Errorf("metadata in %s: %w", ns, err))
		}
	}
	return errors.Join(errs...)
}

func (a *Agent) ensure(ctx context.Context, ns string, e endpoint, s *host.State) error {
	known := callersOf(s, e.networks)
	if l := a.listeners[ns]; l != nil {
		l.proxy.known.Store(&known)
		return nil
	}
	p := &proxy{log: a.log.With("namespace", ns), secret: a.secret, next: a.next}
	p.known.Store(&known)
	l, err := listen(ctx, ns, e.address, p)
	if err != nil {
		return err
	}
	a.listeners[ns] = l
	return nil
}

// Close ends all listeners. What is in the kernel besides them is not the
// Agent's, and stays.
func (a *Agent) Close() {
	for ns, l := range a.listeners {
		l.close()
		delete(a.listeners, ns)
	}
}
