package dhcp

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	// maxForwarded is how many questions of one network may wait for a resolver;
	// more are dropped, and the guest asks again.
	maxForwarded = 64
	// forwardTimeout is how long one resolver may take. Guests give up after five
	// seconds, so two can be tried.
	forwardTimeout = 2 * time.Second
)

// resolve answers questions that arrive at one of our addresses: about names of
// the network itself, and about all others by way of the configured resolvers.
func (s *server) resolve(ctx context.Context, conn net.PacketConn, slots chan struct{}) {
	buf := make([]byte, 4096)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				s.log.Error("name server socket failed", "error", err)
			}
			return
		}
		reply, ok := s.table.Load().names.respond(buf[:n])
		switch {
		case ok && reply != nil:
			conn.WriteTo(reply, from)
		case ok:
		case len(s.set.Resolvers) == 0:
			conn.WriteTo(refused(buf[:n]), from)
		default:
			s.pass(ctx, conn, from, append([]byte(nil), buf[:n]...), slots)
		}
	}
}

// pass forwards a question without holding up the others.
func (s *server) pass(ctx context.Context, conn net.PacketConn, from net.Addr, query []byte, slots chan struct{}) {
	select {
	case slots <- struct{}{}:
	default:
		return
	}
	s.workers.Go(func() {
		defer func() { <-slots }()
		for _, r := range s.set.Resolvers {
			if reply, err := forward(ctx, r, query); err == nil {
				conn.WriteTo(reply, from)
				return
			}
		}
		s.log.Debug("no resolver answered", "resolvers", s.set.Resolvers)
	})
}

// forward asks one resolver, under an id and from a port nobody can guess, and
// takes only an answer to that question.
func forward(ctx context.Context, resolver netip.AddrPort, query []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, forwardTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "udp", resolver.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	ours := append([]byte(nil), query...)
	rand.Read(ours[:2])
	if _, err := conn.Write(ours); err != nil {
		return nil, err
	}
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return nil, err
		}
		if answers(buf[:n], ours) {
			copy(buf[:2], query[:2])
			return buf[:n], nil
		}
	}
}

// answers reports whether reply is a response to query.
func answers(reply, query []byte) bool {
	var p, q dnsmessage.Parser
	h, err := p.Start(reply)
	if err != nil || !h.Response || h.ID != binary.BigEndian.Uint16(query) {
		return false
	}
	if _, err := q.Start(query); err != nil {
		return false
	}
	got, err1 := p.Question()
	want, err2 := q.Question()
	return err1 == nil && err2 == nil && got == want
}
