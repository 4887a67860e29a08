package store

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// silentError says that a connection was given up because nothing came for too long.
type silentError struct{ after time.Duration }

func (e *silentError) Error() string {
	return fmt.Sprintf("the database has been silent for %s", e.after)
}

// dial opens connections to a PostgreSQL, each of which is given up when an answer, or
// a part of one, takes longer than silence; 0 is as long as it takes. The kernel gives
// up what does not even acknowledge within unheard: left alone, TCP waits a quarter of
// an hour for a peer that has vanished.
func dial(unheard, silence time.Duration) func(ctx context.Context, network, addr string) (net.Conn, error) {
	beat := max(unheard/5, time.Second)
	d := net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: beat, Interval: beat, Count: 4},
		Control: func(network, _ string, c syscall.RawConn) error {
			if !strings.HasPrefix(network, "tcp") {
				return nil
			}
			var failed error
			err := c.Control(func(fd uintptr) {
				failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(unheard.Milliseconds()))
			})
			if err == nil {
				err = failed
			}
			return err
		},
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := d.DialContext(ctx, network, addr)
		if err != nil || silence <= 0 {
			return conn, err
		}
		return &patientConn{Conn: conn, silence: silence}, nil
	}
}

// patientConn is a connection on which each read and write may take so long and no
// longer, unless whoever uses it has set a deadline. One that took longer is closed.
type patientConn struct {
	net.Conn
	silence time.Duration
	mu      sync.Mutex
	told    bool // a deadline has been set from outside
}

// SetDeadline implements net.Conn.
func (c *patientConn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told = !t.IsZero()
	return c.Conn.SetDeadline(t)
}

// Read implements net.Conn.
func (c *patientConn) Read(b []byte) (int, error) {
	c.arm(c.Conn.SetReadDeadline)
	n, err := c.Conn.Read(b)
	return n, c.judge(err)
}

// Write implements net.Conn.
func (c *patientConn) Write(b []byte) (int, error) {
	c.arm(c.Conn.SetWriteDeadline)
	n, err := c.Conn.Write(b)
	return n, c.judge(err)
}

func (c *patientConn) arm(set func(time.Time) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.told {
		set(time.Now().Add(c.silence))
	}
}

func (c *patientConn) judge(err error) error {
	timeout, ok := err.(net.Error)
	if !ok || !timeout.Timeout() {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.told {
		return err
	}
	c.Conn.Close()
	return &silentError{c.silence}
}
