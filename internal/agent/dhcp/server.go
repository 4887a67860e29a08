package dhcp

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/weftnet/weft/internal/agent/share"
)

// place is where a server's sockets were opened. When the namespace or the
// interface has been made anew since, they hear nothing more.
type place struct {
	namespace uint64 // inode
	ifindex   int
}

// server answers on one network. Its sockets live as long as it does; what it
// answers may be replaced at any moment.
type server struct {
	log       *slog.Logger
	place     place
	table     atomic.Pointer[table]
	conn      *net.UDPConn
	names     []nameSockets // one for each of addresses
	addresses []netip.Addr  // that the sockets are bound to
	forwarder *forwarder
	waiting   *share.Shares[netip.Addr] // questions that others are asked
	conns     *share.Shares[netip.Addr] // TCP connections
	dead      chan struct{}             // closed when the DHCP socket failed
	workers   sync.WaitGroup
	stop      context.CancelFunc
}

// serve starts answering on sockets that are already open, and owns them.
func serve(log *slog.Logger, at place, conn *net.UDPConn, names []nameSockets, t *table, f *forwarder) *server {
	ctx, cancel := context.WithCancel(context.Background())
	s := &server{
		log: log, place: at, conn: conn, names: names, addresses: t.servers, forwarder: f, dead: make(chan struct{}), stop: cancel,
		waiting: share.New[netip.Addr](maxWaiting, maxGuestWaiting), conns: share.New[netip.Addr](maxConns, maxGuestConns),
	}
	s.table.Store(t)
	s.workers.Go(s.loop)
	for _, n := range names {
		s.workers.Go(func() { s.answerUDP(ctx, n.udp) })
		s.workers.Go(func() { s.answerTCP(ctx, n.tcp) })
	}
	return s
}

// failed reports whether the server stopped hearing.
func (s *server) failed() bool {
	select {
	case <-s.dead:
		return true
	default:
		return false
	}
}

// close ends the server and waits until its goroutines are gone.
func (s *server) close() {
	s.stop()
	s.conn.Close()
	for _, n := range s.names {
		n.close()
	}
	s.workers.Wait()
}

// loop answers one message after the other: an answer takes microseconds, and a
// goroutine for each would let one guest fill the memory of the host.
func (s *server) loop() {
	defer close(s.dead)
	buf := make([]byte, 2048)
	for {
		n, _, err := s.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				s.log.Error("dhcp socket failed", "error", err)
			}
			return
		}
		s.handle(buf[:n])
	}
}

func (s *server) handle(b []byte) {
	req, err := dhcpv4.FromBytes(b)
	if err != nil {
		return
	}
	t := s.table.Load()
	m := t.answer(req)
	s.note(t, req, m)
	if m == nil {
		return
	}
	if _, err := s.conn.WriteTo(m.ToBytes(), destination(m)); err != nil {
		s.log.Warn("dhcp answer not sent", "mac", req.ClientHWAddr, "error", err)
	}
}

func (s *server) note(t *table, req, m *dhcpv4.DHCPv4) {
	kind := req.MessageType()
	switch {
	case kind == dhcpv4.MessageTypeDecline && t.client(req) != nil:
		s.log.Warn("dhcp address declined: somebody else uses it",
			"mac", req.ClientHWAddr, "address", req.RequestedIPAddress())
	case m == nil:
		s.log.Debug("dhcp message not answered", "mac", req.ClientHWAddr, "type", kind)
	default:
		s.log.Debug("dhcp", "mac", req.ClientHWAddr, "type", kind, "reply", m.MessageType(), "address", m.YourIPAddr)
	}
}
