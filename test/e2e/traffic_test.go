package e2e

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"

	"github.com/weftnet/weft/internal/dataplane/netns"
)

// pinger sends an echo request every ten milliseconds and remembers which were
// answered.
type pinger struct {
	what     string
	conn     *icmp.PacketConn
	to       netip.Addr
	id       int
	stop     chan struct{}
	sent     uint32
	sending  sync.WaitGroup
	mu       sync.Mutex
	answered map[uint32]bool
}

// interval is the time between two echo requests.
const interval = 10 * time.Millisecond

// startPing pings from a namespace until finish. The first answer is waited for.
func startPing(t *testing.T, what, ns string, to netip.Addr, id int) *pinger {
	t.Helper()
	p := &pinger{what: what, to: to, id: id, stop: make(chan struct{}), answered: map[uint32]bool{}}
	err := netns.Do(ns, func() (err error) {
		p.conn, err = icmp.ListenPacket("ip4:icmp", "0.0.0.0")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.conn.Close() })
	go p.receive()
	for deadline := time.Now().Add(hang); p.count() == 0; {
		if time.Now().After(deadline) {
			t.Fatalf("ping %s: no answer from %s at all", what, to)
		}
		p.send()
		time.Sleep(50 * time.Millisecond)
	}
	p.mu.Lock()
	p.sent, p.answered = p.sent+1000, map[uint32]bool{} // what is on its way does not count
	p.mu.Unlock()
	p.sending.Go(p.run)
	return p
}

func (p *pinger) run() {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-tick.C:
			p.send()
		}
	}
}

func (p *pinger) send() {
	p.mu.Lock()
	p.sent++
	seq := p.sent
	p.mu.Unlock()
	data := binary.BigEndian.AppendUint32([]byte("weft"), seq)
	msg, err := (&icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: p.id, Seq: int(seq & 0xffff), Data: data}}).Marshal(nil)
	if err == nil {
		p.conn.WriteTo(msg, &net.IPAddr{IP: p.to.AsSlice()})
	}
}

func (p *pinger) receive() {
	buf := make([]byte, 1500)
	for {
		n, peer, err := p.conn.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || peer.String() != p.to.String() {
			continue
		}
		m, err := icmp.ParseMessage(1, buf[:n])
		if err != nil || m.Type != ipv4.ICMPTypeEchoReply {
			continue
		}
		if e, ok := m.Body.(*icmp.Echo); ok && e.ID == p.id && len(e.Data) == 8 {
			p.mu.Lock()
			p.answered[binary.BigEndian.Uint32(e.Data[4:])] = true
			p.mu.Unlock()
		}
	}
}

func (p *pinger) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.answered)
}

// finish ends the pinging and fails the test if an answer is missing.
func (p *pinger) finish(t *testing.T, first uint32) {
	t.Helper()
	close(p.stop)
	p.sending.Wait()
	var lost []uint32
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if lost = p.missing(first); len(lost) == 0 || time.Now().After(deadline) {
			break
		}
	}
	if len(lost) > 0 {
		t.Errorf("ping %s: %d of %d echo requests unanswered: %v", p.what, len(lost), p.sent-first, lost[:min(len(lost), 50)])
	}
	t.Logf("ping %s: %d echo requests, %d lost", p.what, p.sent-first, len(lost))
}

// mark is the number of the last request sent so far.
func (p *pinger) mark() uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent
}

func (p *pinger) missing(first uint32) (lost []uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for seq := first + 1; seq <= p.sent; seq++ {
		if !p.answered[seq] {
			lost = append(lost, seq)
		}
	}
	return lost
}

// stream is a TCP connection with a number going to and fro on it every
// millisecond.
type stream struct {
	what string
	conn net.Conn
	stop chan struct{}
	done chan error
	mu   sync.Mutex
	n    uint64 // numbers that came back
}

// startStream connects from one namespace to an echo server in another.
func startStream(t *testing.T, what, from, server string, to netip.AddrPort) *stream {
	t.Helper()
	echo(t, server, to.Port())
	return connect(t, what, from, to)
}

// connect starts a stream to whoever echoes there.
func connect(t *testing.T, what, from string, to netip.AddrPort) *stream {
	t.Helper()
	s := &stream{what: what, stop: make(chan struct{}), done: make(chan error, 1)}
	for deadline := time.Now().Add(hang); ; time.Sleep(20 * time.Millisecond) {
		err := netns.Do(from, func() (err error) {
			s.conn, err = net.DialTimeout("tcp", to.String(), 2*time.Second)
			return err
		})
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("connecting %s: %v", what, err)
		}
	}
	t.Cleanup(func() { s.conn.Close() })
	go func() { s.done <- s.talk() }()
	return s
}

// echo sends back what comes in at a port.
func echo(t *testing.T, ns string, port uint16) {
	t.Helper()
	var l net.Listener
	err := netns.Do(ns, func() (err error) {
		l, err = net.Listen("tcp", fmt.Sprintf(":%d", port))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
}

func (s *stream) talk() error {
	back := make([]byte, 8)
	for n := uint64(1); ; n++ {
		select {
		case <-s.stop:
			return nil
		case <-time.After(time.Millisecond):
		}
		s.conn.SetDeadline(time.Now().Add(30 * time.Second))
		if _, err := s.conn.Write(binary.BigEndian.AppendUint64(nil, n)); err != nil {
			return err
		}
		if _, err := io.ReadFull(s.conn, back); err != nil {
			return err
		}
		if got := binary.BigEndian.Uint64(back); got != n {
			return fmt.Errorf("sent %d, got %d", n, got)
		}
		s.mu.Lock()
		s.n = n
		s.mu.Unlock()
	}
}

func (s *stream) count() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

// finish ends the stream and fails the test if it broke.
func (s *stream) finish(t *testing.T) {
	t.Helper()
	close(s.stop)
	if err := <-s.done; err != nil {
		t.Errorf("TCP stream %s broke after %d exchanges: %v", s.what, s.n, err)
	}
	t.Logf("TCP stream %s: %d exchanges", s.what, s.n)
}
