package arp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/mdlayher/packet"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/dataplane/netns"
)

// rounds is how often an address is announced: a frame may be lost, and Neutron
// sends as many.
const rounds = 3

// Announcer sends announcements in the background.
type Announcer struct {
	log      *slog.Logger
	interval time.Duration // between rounds
	stop     context.CancelFunc
	ctx      context.Context // ends with Close, which no call's context does
	wg       sync.WaitGroup
}

// NewAnnouncer makes an Announcer. The caller closes it.
func NewAnnouncer(log *slog.Logger) *Announcer {
	a := &Announcer{log: log, interval: time.Second}
	a.ctx, a.stop = context.WithCancel(context.Background())
	return a
}

// Close ends announcements that are under way and waits for their end.
func (a *Announcer) Close() {
	a.stop()
	a.wg.Wait()
}

// Announce says three times, in both forms and a second apart, that the addresses
// are at the device in the namespace. It does not wait. An address that the device
// no longer has is not announced any more, nor is one of a namespace that is gone:
// somebody else may have it by then. What cannot be sent is logged.
func (a *Announcer) Announce(namespace, device string, addrs ...netip.Addr) {
	addrs = slices.DeleteFunc(slices.Clone(addrs), func(a netip.Addr) bool { return !a.Is4() })
	if len(addrs) == 0 || a.ctx.Err() != nil {
		return
	}
	a.wg.Go(func() {
		for i := range rounds {
			if i > 0 && !a.sleep() {
				return
			}
			err := send(namespace, device, addrs)
			if errors.Is(err, fs.ErrNotExist) {
				return
			}
			if err != nil {
				a.log.Warn("announcing addresses", "namespace", namespace, "device", device, "error", err)
				return
			}
		}
	})
}

func (a *Announcer) sleep() bool {
	select {
	case <-a.ctx.Done():
		return false
	case <-time.After(a.interval):
		return true
	}
}

// send is one round. Its socket does not outlive it, because a socket keeps its
// namespace alive, and with that the interfaces of a router that is gone.
func send(namespace, device string, addrs []netip.Addr) error {
	return netns.Do(namespace, func() error {
		nic, err := net.InterfaceByName(device)
		if err != nil {
			return fmt.Errorf("%s: %w", device, fs.ErrNotExist)
		}
		present, err := nic.Addrs()
		if err != nil {
			return err
		}
		conn, err := packet.Listen(nic, packet.Raw, 0, nil) // protocol 0: hears nothing
		if err != nil {
			return err
		}
		defer conn.Close()
		return write(conn, weft.MAC(nic.HardwareAddr), slices.DeleteFunc(slices.Clone(addrs), func(a netip.Addr) bool {
			return !has(present, a)
		}))
	})
}

func has(present []net.Addr, a netip.Addr) bool {
	return slices.ContainsFunc(present, func(p net.Addr) bool {
		n, ok := p.(*net.IPNet)
		return ok && n.IP.Equal(a.AsSlice())
	})
}

func write(conn *packet.Conn, mac weft.MAC, addrs []netip.Addr) error {
	to := &packet.Addr{HardwareAddr: broadcast.HardwareAddr()}
	for _, a := range addrs {
		for _, form := range []Form{Request, Reply} {
			if _, err := conn.WriteTo(Frame(form, mac, a), to); err != nil {
				return err
			}
		}
	}
	return nil
}
