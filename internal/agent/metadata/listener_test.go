package metadata

import (
	"net"
	"testing"
	"time"
)

// TestGuestLeavesOthersConnections has one guest open more connections than he may.
func TestGuestLeavesOthersConnections(t *testing.T) {
	sock, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := newLimited(sock, 4, 2)
	accepted := make(chan net.Conn)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	dial := func(from string) net.Conn {
		t.Helper()
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c, err := d.Dial("tcp4", sock.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	dial("127.0.0.2")
	first := <-accepted
	dial("127.0.0.2")
	<-accepted
	third := dial("127.0.0.2")
	third.SetDeadline(time.Now().Add(time.Minute))
	if _, err := third.Read(make([]byte, 1)); err == nil {
		t.Error("a third connection is open")
	}
	dial("127.0.0.3")
	if c := <-accepted; guestOf(c).String() != "127.0.0.3" {
		t.Errorf("accepted %s", c.RemoteAddr())
	}
	first.Close()
	dial("127.0.0.2")
	if c := <-accepted; guestOf(c).String() != "127.0.0.2" {
		t.Errorf("accepted %s", c.RemoteAddr())
	}
	l.Close()
	<-ended
}
