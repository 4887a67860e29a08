package metadata

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weftnet/weft/internal/dataplane/netns"
)

// Limits of one namespace. They are per namespace so that no network can use up
// what others need.
const (
	maxConns      = 1024
	maxHeader     = 16 << 10
	headerTimeout = 10 * time.Second
	totalTimeout  = upstreamTimeout + 2*time.Second
)

// listener serves one namespace.
type listener struct {
	id     uint64 // of the namespace: a new one by the same name hears nothing of ours
	proxy  *proxy
	server *http.Server
	done   chan struct{} // closed when the server has ended
}

// listen opens a listener in a namespace and starts to serve. The address need
// not exist there yet.
func listen(ctx context.Context, ns, address string, p *proxy) (*listener, error) {
	id, err := netns.ID(ns)
	if err != nil {
		return nil, err
	}
	var sock net.Listener
	err = netns.Do(ns, func() error {
		sock, err = (&net.ListenConfig{Control: freebind}).Listen(ctx, "tcp4", address)
		return err
	})
	if err != nil {
		return nil, err
	}
	l := &listener{id: id, proxy: p, done: make(chan struct{}), server: &http.Server{
		Handler:           p,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       totalTimeout,
		WriteTimeout:      totalTimeout,
		IdleTimeout:       totalTimeout,
		MaxHeaderBytes:    maxHeader,
	}}
	go l.serve(newLimited(sock, maxConns))
	return l, nil
}

func (l *listener) serve(sock net.Listener) {
	defer close(l.done)
	if err := l.server.Serve(sock); !errors.Is(err, http.ErrServerClosed) {
		l.proxy.log.Error("metadata listener failed", "error", err)
	}
}

// stale reports whether the listener cannot be reached any more by the namespace
// of that name.
func (l *listener) stale(ns string) bool {
	select {
	case <-l.done:
		return true
	default:
	}
	id, err := netns.ID(ns)
	return err != nil || id != l.id
}

func (l *listener) close() {
	l.server.Close()
	<-l.done
}

// freebind allows an address that the interface gets only later.
func freebind(_, _ string, c syscall.RawConn) error {
	var err error
	if e := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_FREEBIND, 1) }); e != nil {
		return e
	}
	return err
}

// limited accepts no more connections than it has slots.
type limited struct {
	net.Listener
	slots chan struct{}
	done  chan struct{}
	once  sync.Once
}

func newLimited(l net.Listener, n int) *limited {
	return &limited{Listener: l, slots: make(chan struct{}, n), done: make(chan struct{})}
}

func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.done:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &limitedConn{Conn: c, free: sync.OnceFunc(func() { <-l.slots })}, nil
}

func (l *limited) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	free func()
}

func (c *limitedConn) Close() error {
	defer c.free()
	return c.Conn.Close()
}
