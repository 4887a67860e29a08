package dhcp

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/weftnet/weft/internal/agent/share"
)

const (
	// maxForwarding is how many questions of all networks may wait for a resolver.
	maxForwarding = 512
	// maxProjectForwarding is how many of them may be of one project's networks: who
	// has his guests ask for what no resolver answers leaves the others theirs.
	maxProjectForwarding = 128
	// forwardTimeout is how long one resolver may take. Guests give up after five
	// seconds, so two can be tried.
	forwardTimeout = 2 * time.Second
	// resolversTried is how many resolvers are asked in turn.
	resolversTried = 3
	// recheck is how often the host's file may be looked at.
	recheck = time.Second
)

// forwarder asks resolvers what no network knows. It asks from the host, not from
// the network.
type forwarder struct {
	fixed []netip.AddrPort
	file  string                // of the host's resolvers, asked if there are no fixed ones; "": none
	slots *share.Shares[string] // by project

	mu      sync.Mutex
	looked  time.Time
	changed time.Time // of the file
	host    []netip.AddrPort
}

func newForwarder(set Settings) *forwarder {
	return &forwarder{fixed: set.Resolvers, file: set.ResolvConf, slots: share.New[string](maxForwarding, maxProjectForwarding)}
}

// resolvers are those to ask, best first.
func (f *forwarder) resolvers() []netip.AddrPort {
	if len(f.fixed) > 0 || f.file == "" {
		return f.fixed
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.looked) < recheck {
		return f.host
	}
	f.looked = time.Now()
	info, err := os.Stat(f.file)
	if err != nil || info.ModTime().Equal(f.changed) {
		return f.host
	}
	if c, err := dns.ClientConfigFromFile(f.file); err == nil {
		f.host, f.changed = nil, info.ModTime()
		for _, s := range c.Servers {
			a, errA := netip.ParseAddr(s)
			port, errP := strconv.ParseUint(c.Port, 10, 16)
			if errA == nil && errP == nil {
				f.host = append(f.host, netip.AddrPortFrom(a, uint16(port)))
			}
		}
	}
	return f.host
}

// errBusy says that too many questions wait already.
var errBusy = errors.New("too many questions wait for a resolver")

// ask is what the first resolver says that answers at all, by TCP if the guest has
// come by it: what does not fit elsewhere does there.
func (f *forwarder) ask(ctx context.Context, project string, q *dns.Msg, tcp bool) (*dns.Msg, error) {
	if !f.slots.Take(project) {
		return nil, errBusy
	}
	defer f.slots.GiveBack(project)
	all := f.resolvers()
	var errs []error
	for _, r := range all[:min(len(all), resolversTried)] {
		m, err := forward(ctx, r, q, tcp)
		if err == nil {
			return m, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// forward asks one resolver, under an id and from a port nobody can guess, and takes
// only an answer to that question.
func forward(ctx context.Context, resolver netip.AddrPort, q *dns.Msg, tcp bool) (*dns.Msg, error) {
	ours := new(dns.Msg)
	ours.Id, ours.Question = dns.Id(), q.Question
	ours.RecursionDesired, ours.CheckingDisabled = q.RecursionDesired, q.CheckingDisabled
	ours.AuthenticatedData = q.AuthenticatedData
	opt := q.IsEdns0()
	ours.SetEdns0(maxUDP, opt != nil && opt.Do())
	c := &dns.Client{Net: "udp", UDPSize: maxUDP, Timeout: forwardTimeout}
	if tcp {
		c.Net = "tcp"
	}
	ctx, cancel := context.WithTimeout(ctx, forwardTimeout)
	defer cancel()
	conn, err := c.DialContext(ctx, resolver.String())
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", resolver, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })() // a server that is closed waits for no resolver
	m, _, err := c.ExchangeWithConnContext(ctx, ours, conn)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", resolver, err)
	}
	if !m.Response || len(m.Question) != 1 || m.Question[0] != ours.Question[0] {
		return nil, fmt.Errorf("%s answered another question", resolver)
	}
	m.Id = q.Id
	return m, nil
}
