package serve

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"
)

// conn is a client's connection. Deadlines of writing are its own; those of reading
// are net/http's, and its body's while there is one.
type conn struct {
	net.Conn
	door    *Door
	source  netip.Prefix
	busy    atomic.Bool  // weft works on a request
	writing atomic.Bool  // weft waits for the client to take something
	last    atomic.Int64 // when something came or went, in nanoseconds
}

func (c *conn) touch() { c.last.Store(time.Now().UnixNano()) }

// waits reports whether it is the client whom everything waits for.
func (c *conn) waits() bool { return !c.busy.Load() || c.writing.Load() }

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.touch()
	}
	return n, err
}

// Write gives every piece its time.
func (c *conn) Write(b []byte) (n int, err error) {
	c.writing.Store(true)
	defer c.writing.Store(false)
	for n < len(b) && err == nil {
		if err = c.Conn.SetWriteDeadline(time.Now().Add(c.door.limits.Patience)); err != nil {
			return n, err
		}
		var m int
		m, err = c.Conn.Write(b[n:min(len(b), n+piece)])
		n += m
		c.touch()
	}
	return n, err
}

func (c *conn) Close() error {
	c.door.forget(c)
	return c.Conn.Close()
}

// cut ends the connection; what the client has not taken is dropped.
func (c *conn) cut() {
	if t, ok := c.Conn.(*net.TCPConn); ok {
		t.SetLinger(0) //nolint:errcheck // it ends in any case
	}
	c.Conn.Close()
}

// guard knows whether a connection waits for weft or for its client.
func (d *Door) guard(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, ok := r.Context().Value(connKey{}).(*conn)
		if !ok {
			h.ServeHTTP(w, r)
			return
		}
		defer c.busy.Store(false)
		c.busy.Store(true)
		if r.Body != nil && r.Body != http.NoBody {
			b := &body{ReadCloser: r.Body, c: c}
			b.renew() // also for who refuses the request without reading it
			defer b.finish()
			r.Body = b
		}
		h.ServeHTTP(w, r)
	})
}

// body is the body of a request: a piece of it, or its end, has to come in time.
type body struct {
	io.ReadCloser
	c     *conn
	since int // bytes since the deadline was set
	ended bool
}

func (b *body) Read(p []byte) (int, error) {
	b.c.busy.Store(false)
	n, err := b.ReadCloser.Read(p)
	b.c.busy.Store(true)
	if b.since += n; b.since >= piece {
		b.renew()
	}
	if err == io.EOF && !b.ended { //nolint:errorlint // as io.Reader has it
		b.ended = true
		b.c.SetReadDeadline(time.Time{}) //nolint:errcheck // a connection without deadlines is closed
	}
	return n, err
}

func (b *body) renew() {
	b.since = 0
	b.c.SetReadDeadline(time.Now().Add(b.c.door.limits.Patience)) //nolint:errcheck // likewise
}

// finish gives the rest that nobody has read a new deadline: net/http reads on.
func (b *body) finish() {
	if !b.ended {
		b.renew()
	}
}

// CloseWrite is what net/http does before it closes a connection that has more to
// say, so that the client still gets the answer.
func (c *conn) CloseWrite() error {
	if t, ok := c.Conn.(*net.TCPConn); ok {
		return t.CloseWrite()
	}
	return nil
}
