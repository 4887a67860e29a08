package demo

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/dataplane/netns"
)

// listenPing opens a raw ICMP socket in a namespace.
func listenPing(namespace string) (c *icmp.PacketConn, err error) {
	err = netns.Do(namespace, func() error {
		c, err = icmp.ListenPacket("ip4:icmp", "0.0.0.0")
		return err
	})
	return c, err
}

// ping sends echo requests from a namespace until one is answered or ctx ends.
func ping(ctx context.Context, namespace string, to netip.Addr) (time.Duration, error) {
	c, err := listenPing(namespace)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	id := os.Getpid() & 0xffff
	for seq := 1; ctx.Err() == nil; seq++ {
		sent := time.Now()
		msg, err := (&icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: id, Seq: seq, Data: []byte("weft")}}).Marshal(nil)
		if err != nil {
			return 0, err
		}
		// An unreachable destination is an answer too, of a kind: try again.
		c.WriteTo(msg, &net.IPAddr{IP: to.AsSlice()})
		if echoed(c, id, seq, to, 250*time.Millisecond) {
			return time.Since(sent), nil
		}
	}
	return 0, fmt.Errorf("no answer from %s", to)
}

func echoed(c *icmp.PacketConn, id, seq int, from netip.Addr, wait time.Duration) bool {
	c.SetReadDeadline(time.Now().Add(wait))
	buf := make([]byte, 1500)
	for {
		n, peer, err := c.ReadFrom(buf)
		if err != nil {
			return false
		}
		m, err := icmp.ParseMessage(1, buf[:n])
		if err != nil || m.Type != ipv4.ICMPTypeEchoReply || peer.String() != from.String() {
			continue
		}
		if e, ok := m.Body.(*icmp.Echo); ok && e.ID == id && e.Seq == seq {
			return true
		}
	}
}

// unreachable is the proof that pings are not answered, for as long as three of
// them take.
func unreachable(ctx context.Context, namespace string, to netip.Addr) error {
	ctx, cancel := context.WithTimeout(ctx, 800*time.Millisecond)
	defer cancel()
	if _, err := ping(ctx, namespace, to); err == nil {
		return fmt.Errorf("%s answered", to)
	}
	return nil
}

// echoServer accepts TCP connections in a namespace and sends back what it gets,
// after a line with the address that it sees the client under.
func echoServer(namespace string, port int) (l net.Listener, err error) {
	err = netns.Do(namespace, func() error {
		l, err = net.Listen("tcp4", fmt.Sprintf("0.0.0.0:%d", port))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listening in %s: %w", namespace, err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				fmt.Fprintf(c, "%-32s\n", c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr())
				io.Copy(c, c)
			}()
		}
	}()
	return l, nil
}

// dialTimeout is short, so that a connection that is admitted a moment later is not
// held up by TCP's own second between attempts.
const dialTimeout = 100 * time.Millisecond

// dial connects from a namespace and returns the connection and the address that
// the echo server saw. It tries until ctx ends.
func dial(ctx context.Context, namespace string, to netip.AddrPort) (c net.Conn, seen string, err error) {
	for {
		c, err = dialOnce(ctx, namespace, to, dialTimeout)
		if err == nil {
			break
		}
		select {
		case <-ctx.Done():
			return nil, "", errors.Join(err, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	line := make([]byte, 33)
	if _, err := io.ReadFull(c, line); err != nil {
		c.Close()
		return nil, "", err
	}
	return c, string(trimRight(line)), nil
}

func trimRight(b []byte) []byte {
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\n') {
		b = b[:len(b)-1]
	}
	return b
}

func dialOnce(ctx context.Context, namespace string, to netip.AddrPort, wait time.Duration) (c net.Conn, err error) {
	d := net.Dialer{Timeout: wait}
	err = netns.Do(namespace, func() error {
		c, err = d.DialContext(ctx, "tcp4", to.String())
		return err
	})
	return c, err
}

// talk sends a line and waits for it to come back.
func talk(c net.Conn, wait time.Duration) error {
	c.SetDeadline(time.Now().Add(wait))
	if _, err := c.Write([]byte("weft\n")); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 5))
	return err
}

// get fetches a document over HTTP from a namespace.
func get(ctx context.Context, namespace, url string) (body string, h http.Header, err error) {
	t := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, addr string) (c net.Conn, err error) {
		err = netns.Do(namespace, func() error {
			c, err = (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "tcp4", addr)
			return err
		})
		return c, err
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", nil, err
	}
	res, err := (&http.Client{Transport: t}).Do(req)
	if err != nil {
		return "", nil, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: status %d", url, res.StatusCode)
	}
	return string(data), res.Header, err
}

// datagram is a UDP datagram in an Ethernet frame with any addresses one likes.
type datagram struct {
	srcMAC, dstMAC weft.MAC
	src, dst       netip.Addr
	port           uint16
	payload        string
}

func (d datagram) frame() []byte {
	udp := 8 + len(d.payload)
	b := make([]byte, 14+20+udp)
	copy(b[0:], d.dstMAC[:])
	copy(b[6:], d.srcMAC[:])
	b[12], b[13] = 0x08, 0x00
	ip := b[14:]
	ip[0], ip[8], ip[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(ip[2:], uint16(20+udp))
	copy(ip[12:], d.src.AsSlice())
	copy(ip[16:], d.dst.AsSlice())
	binary.BigEndian.PutUint16(ip[10:], checksum(ip[:20]))
	u := ip[20:]
	binary.BigEndian.PutUint16(u[0:], d.port)
	binary.BigEndian.PutUint16(u[2:], d.port)
	binary.BigEndian.PutUint16(u[4:], uint16(udp)) // a zero checksum is allowed over IPv4
	copy(u[8:], d.payload)
	return b
}

func checksum(b []byte) uint16 {
	sum := uint32(0)
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// inject sends a raw frame out of a namespace's eth0.
func inject(namespace string, frame []byte) error {
	return netns.Do(namespace, func() error {
		ifi, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		c, err := packet.Listen(ifi, packet.Raw, 0, nil)
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.WriteTo(frame, &packet.Addr{HardwareAddr: net.HardwareAddr(frame[:6])})
		return err
	})
}

// inbox is a UDP socket in a namespace.
func inbox(namespace string, port int) (c net.PacketConn, err error) {
	err = netns.Do(namespace, func() error {
		c, err = net.ListenPacket("udp4", fmt.Sprintf("0.0.0.0:%d", port))
		return err
	})
	return c, err
}

// arrives reports whether a payload comes in before the wait is over.
func arrives(c net.PacketConn, payload string, wait time.Duration) bool {
	c.SetReadDeadline(time.Now().Add(wait))
	buf := make([]byte, 1500)
	for {
		n, _, err := c.ReadFrom(buf)
		if err != nil {
			return false
		}
		if string(buf[:n]) == payload {
			return true
		}
	}
}
