package metadata

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

	"golang.org/x/sys/unix"

	"github.com/weftnet/weft/internal/agent/share"
	"github.com/weftnet/weft/internal/dataplane/netns"
)

// Limits of one interface, so that no network can use up what others need.
const (
	maxConns      = 1024
	maxGuestConns = 64 // of one guest, that it leaves the others some
	maxHeader     = 16 << 10
	headerTimeout = 10 * time.Second
	totalTimeout  = upstreamTimeout + 2*time.Second
)

// listener serves one interface of a namespace.
type listener struct {
	id     uint64 // of the namespace: a new one by the same name hears nothing of ours
	raw    syscall.RawConn
	proxy  *proxy
	server *http.Server
	done   chan struct{} // closed when the server has ended
}

// listen opens a listener at an interface and starts to serve. The address need not
// exist there yet.
func listen(ctx context.Context, at door, address string, p *proxy) (*listener, error) {
	id, err := netns.ID(at.namespace)
	if err != nil {
		return nil, err
	}
	var sock net.Listener
	err = netns.Do(at.namespace, func() error {
		sock, err = (&net.ListenConfig{Control: onLink(at.device)}).Listen(ctx, "tcp4", address)
		return err
	})
	if err != nil {
		return nil, err
	}
	raw, err := sock.(*net.TCPListener).SyscallConn()
	if err != nil {
		sock.Close()
		return nil, err
	}
	l := &listener{id: id, raw: raw, proxy: p, done: make(chan struct{}), server: &http.Server{
		Handler:           p,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       totalTimeout,
		WriteTimeout:      totalTimeout,
		IdleTimeout:       totalTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(p.log.Handler(), slog.LevelWarn), // requests can have it say something
	}}
	go l.serve(newLimited(sock, maxConns, maxGuestConns))
	return l, nil
}

func (l *listener) serve(sock net.Listener) {
	defer close(l.done)
	if err := l.server.Serve(sock); !errors.Is(err, http.ErrServerClosed) {
		l.proxy.log.Error("metadata listener failed", "error", err)
	}
}

// stale reports whether the listener cannot be reached any more by the interface of
// that name.
func (l *listener) stale(at door) bool {
	select {
	case <-l.done:
		return true
	default:
	}
	id, err := netns.ID(at.namespace)
	return err != nil || id != l.id || l.device() != at.device
}

// device is the name of the interface that the listener is bound to, empty when that
// is no more.
func (l *listener) device() (name string) {
	l.raw.Control(func(fd uintptr) { name, _ = unix.GetsockoptString(int(fd), unix.SOL_SOCKET, unix.SO_BINDTODEVICE) })
	return name
}

func (l *listener) close() {
	l.server.Close()
	<-l.done
}

// onLink binds a socket to an interface, and what it says to the link there. The
// address it listens on may come only later.
func onLink(device string) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var err error
		e := c.Control(func(fd uintptr) {
			err = errors.Join(
				unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_FREEBIND, 1),
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DONTROUTE, 1),
				unix.BindToDevice(int(fd), device))
		})
		return errors.Join(e, err)
	}
}

// limited accepts no more connections than it has slots. One more of a guest that has
// its share is closed at once.
type limited struct {
	net.Listener
	slots  chan struct{}
	guests *share.Shares[netip.Addr]
	done   chan struct{}
	once   sync.Once
}

func newLimited(l net.Listener, all, each int) *limited {
	return &limited{Listener: l, slots: make(chan struct{}, all), guests: share.New[netip.Addr](all, each),
		done: make(chan struct{})}
}

func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.done:
		return nil, net.ErrClosed
	}
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			<-l.slots
			return nil, err
		}
		guest := guestOf(c)
		if !l.guests.Take(guest) {
			c.Close()
			continue
		}
		return &limitedConn{Conn: c, free: sync.OnceFunc(func() {
			l.guests.GiveBack(guest)
			<-l.slots
		})}, nil
	}
}

// guestOf is who has connected.
func guestOf(c net.Conn) netip.Addr {
	at, _ := netip.ParseAddrPort(c.RemoteAddr().String())
	return at.Addr().Unmap()
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
