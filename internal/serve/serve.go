// Package serve is what an HTTP server needs when strangers speak to it: nobody may
// hold more connections or memory than his part, and nobody may keep a connection
// without sending or taking anything.
//
// Where there are too many connections the one goes that has kept weft waiting
// longest, of the address that has most: new ones always come in.
package serve

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// Limits are what clients may do. Those of 0 are chosen by New.
type Limits struct {
	Patience    time.Duration // for the next piece of a request, or until one of an answer is taken
	Connections int           // in all
	PerAddress  int
}

// How fast clients have to be: a piece, or the rest, within the time they are given.
const piece = 16 << 10

// spareDescriptors are for databases, logs and the host's network.
const spareDescriptors = 256

// Door lets connections in, those of all servers of a process.
type Door struct {
	limits Limits
	log    *slog.Logger

	mu     sync.Mutex
	conns  map[*conn]bool
	from   map[netip.Prefix]int
	warned time.Time
}

// New makes a door. There are never more connections than the process can have files.
func New(log *slog.Logger, l Limits) *Door {
	if l.Patience == 0 {
		l.Patience = 30 * time.Second
	}
	if l.Connections == 0 {
		l.Connections = 1024
	}
	var files syscall.Rlimit // Go has raised it to what may be
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files) == nil && files.Cur < uint64(l.Connections+spareDescriptors) {
		l.Connections = max(1, int(files.Cur)*3/4)
	}
	if l.PerAddress == 0 {
		l.PerAddress = l.Connections * 3 / 4
	}
	l.PerAddress = min(l.PerAddress, l.Connections)
	return &Door{limits: l, log: log, conns: map[*conn]bool{}, from: map[netip.Prefix]int{}}
}

type connKey struct{}

// Serve answers on a listener until ctx ends; then it lets requests under way finish,
// for a while.
func (d *Door) Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	s := &http.Server{Handler: d.guard(h), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10,
		ErrorLog:       slog.NewLogLogger(d.log.Handler(), slog.LevelDebug),
		ConnContext:    func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) }}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if s.Shutdown(grace) != nil {
			s.Close()
		}
	}()
	if err := s.Serve(listener{l, d}); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	<-stopped
	return nil
}

// Connections is how many there are.
func (d *Door) Connections() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.conns)
}

type listener struct {
	net.Listener
	door *Door
}

func (l listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
			l.door.makeRoom()
		}
		if err != nil {
			return nil, err // net/http tries again, after a while, if that can help
		}
		if in := l.door.admit(c); in != nil {
			return in, nil
		}
		c.Close()
	}
}

// admit lets a connection in, if need be in the place of another; nil: there is none
// that could go, because weft works for all of them.
func (d *Door) admit(c net.Conn) *conn {
	in := &conn{Conn: c, door: d, source: source(c.RemoteAddr())}
	in.touch()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.from[in.source] >= d.limits.PerAddress && !d.cutLocked(func(c *conn) bool { return c.source == in.source }) {
		return nil
	}
	if len(d.conns) >= d.limits.Connections && !d.cutBusiestLocked() {
		return nil
	}
	d.conns[in] = true
	d.from[in.source]++
	return in
}

func (d *Door) makeRoom() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cutBusiestLocked()
}

// cutBusiestLocked cuts a connection of the address that has most, or else any.
func (d *Door) cutBusiestLocked() bool {
	var most netip.Prefix
	for p, n := range d.from {
		if n > d.from[most] {
			most = p
		}
	}
	return d.cutLocked(func(c *conn) bool { return c.source == most }) || d.cutLocked(func(*conn) bool { return true })
}

// cutLocked cuts that of some connections whose client has kept us waiting longest.
func (d *Door) cutLocked(among func(*conn) bool) bool {
	var oldest *conn
	for c := range d.conns {
		if among(c) && c.waits() && (oldest == nil || c.last.Load() < oldest.last.Load()) {
			oldest = c
		}
	}
	if oldest == nil {
		return false
	}
	d.forgetLocked(oldest)
	oldest.cut()
	if time.Since(d.warned) > time.Minute {
		d.warned = time.Now()
		d.log.Warn("too many connections: those go that have done nothing for longest", "from", oldest.source.Addr(), "all",
			len(d.conns)+1)
	}
	return true
}

func (d *Door) forget(c *conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.forgetLocked(c)
}

func (d *Door) forgetLocked(c *conn) {
	if !d.conns[c] {
		return
	}
	delete(d.conns, c)
	if d.from[c.source]--; d.from[c.source] <= 0 {
		delete(d.from, c.source)
	}
}

// source is whom an address belongs to: of IPv6, one customer has a /64.
func source(a net.Addr) netip.Prefix {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	addr := t.AddrPort().Addr().Unmap()
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, _ := addr.WithZone("").Prefix(bits) // the lengths are right
	return p
}
