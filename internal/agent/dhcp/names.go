package dhcp

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/weftnet/weft/internal/agent/share"
)

// Bounds of one network's name server. A guest that is at its bound is not answered
// until it has fewer, and leaves the others their share.
const (
	maxWaiting      = 64 // questions that wait for a resolver
	maxGuestWaiting = 16 // of one guest
	maxConns        = 64 // TCP connections
	maxGuestConns   = 8  // of one guest
	maxConnQueries  = 100
	connTimeout     = 5 * time.Second // to send a question, to take an answer, and between them

	// acceptPause follows a failure, as without descriptors: who serves tries again at once.
	acceptPause = 100 * time.Millisecond
)

// nameSockets are where questions arrive at one of our addresses, port 53.
type nameSockets struct {
	udp net.PacketConn
	tcp net.Listener
}

func (n nameSockets) close() {
	n.udp.Close()
	n.tcp.Close()
}

// answerUDP answers one question after the other; only those that others have to be
// asked for wait beside it.
func (s *server) answerUDP(ctx context.Context, conn net.PacketConn) {
	buf := make([]byte, 4096)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				s.log.Error("name server socket failed", "error", err)
			}
			return
		}
		q := new(dns.Msg)
		guest := addrOf(from)
		z := &s.table.Load().names
		if !z.local(guest) || q.Unpack(buf[:n]) != nil || q.Response {
			continue
		}
		if m := z.answer(q); m != nil {
			s.sendUDP(conn, from, m, q)
			continue
		}
		if !s.waiting.Take(guest) {
			continue
		}
		s.workers.Go(func() {
			defer s.waiting.GiveBack(guest)
			s.sendUDP(conn, from, s.askOthers(ctx, q, false), q)
		})
	}
}

func (s *server) sendUDP(conn net.PacketConn, to net.Addr, m, q *dns.Msg) {
	if b, err := seal(m, q, false); err == nil {
		conn.WriteTo(b, to)
	}
}

// askOthers is what the configured resolvers say. Without any all is refused, as
// Neutron does by default.
func (s *server) askOthers(ctx context.Context, q *dns.Msg, tcp bool) *dns.Msg {
	if len(s.forwarder.resolvers()) == 0 {
		return reply(q, dns.RcodeRefused)
	}
	m, err := s.forwarder.ask(ctx, s.table.Load().project, q, tcp)
	if err != nil {
		s.log.Debug("name not resolved", "error", err)
		return reply(q, dns.RcodeServerFailure)
	}
	return m
}

// answerTCP serves connections until the listener is closed, and then ends them.
func (s *server) answerTCP(ctx context.Context, l net.Listener) {
	g := &guests{Listener: l, conns: s.conns, local: func(a netip.Addr) bool { return s.table.Load().names.local(a) }}
	defer g.closeAll()
	srv := &dns.Server{
		Listener: g, ReadTimeout: connTimeout, WriteTimeout: connTimeout, MaxTCPQueries: maxConnQueries,
		IdleTimeout: func() time.Duration { return connTimeout },
		Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
			if b, err := seal(s.overTCP(ctx, q, addrOf(w.RemoteAddr())), q, true); err == nil {
				w.Write(b)
			}
		}),
	}
	context.AfterFunc(ctx, g.closeAll)
	if err := srv.ActivateAndServe(); err != nil && !errors.Is(err, net.ErrClosed) {
		s.log.Error("name server socket failed", "error", err)
	}
}

func (s *server) overTCP(ctx context.Context, q *dns.Msg, guest netip.Addr) *dns.Msg {
	if m := s.table.Load().names.answer(q); m != nil {
		return m
	}
	if !s.waiting.Take(guest) {
		return reply(q, dns.RcodeServerFailure)
	}
	defer s.waiting.GiveBack(guest)
	return s.askOthers(ctx, q, true)
}

// guests accepts connections of those who are on the network, as many as they may
// have; others are closed at once.
type guests struct {
	net.Listener
	conns *share.Shares[netip.Addr]
	local func(netip.Addr) bool

	mu     sync.Mutex
	open   map[*guestConn]bool
	closed bool
}

func (g *guests) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				time.Sleep(acceptPause)
			}
			return nil, err
		}
		guest := addrOf(c.RemoteAddr())
		if !g.local(guest) || !g.conns.Take(guest) {
			c.Close()
			continue
		}
		gc := &guestConn{Conn: c}
		gc.end = sync.OnceFunc(func() {
			g.conns.GiveBack(guest)
			g.mu.Lock()
			defer g.mu.Unlock()
			delete(g.open, gc)
		})
		if !g.keep(gc) {
			gc.Close()
			return nil, net.ErrClosed
		}
		return gc, nil
	}
}

func (g *guests) keep(c *guestConn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open == nil {
		g.open = map[*guestConn]bool{}
	}
	if !g.closed {
		g.open[c] = true
	}
	return !g.closed
}

// closeAll ends all connections, and takes no more.
func (g *guests) closeAll() {
	g.Listener.Close()
	g.mu.Lock()
	g.closed = true
	var open []*guestConn
	for c := range g.open {
		open = append(open, c)
	}
	g.mu.Unlock()
	for _, c := range open {
		c.Close()
	}
}

type guestConn struct {
	net.Conn
	end func()
}

func (c *guestConn) Close() error {
	defer c.end()
	return c.Conn.Close()
}

// addrOf is the address of a peer.
func addrOf(a net.Addr) netip.Addr {
	p, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr().Unmap()
}
