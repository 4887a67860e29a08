package link

import (
	"context"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Event is news of an interface: it is new, changed or gone.
type Event struct {
	Index   int
	Name    string
	Alias   string
	Master  int
	MTU     int
	Up      bool
	Deleted bool
	Lost    bool // events before this one were lost, which says nothing itself: look afresh
}

// Watch delivers what happens to the namespace's interfaces from now on, until
// ctx ends or the socket fails; then the channel is closed. A reader that is slow loses events, and
// is told so. The kernel sends one event for each change, so that several may say
// the same.
func (h *Handle) Watch(ctx context.Context) (<-chan Event, error) {
	var s *nl.NetlinkSocket
	err := h.ns.Do(func() (err error) {
		s, err = nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("subscribing to interface events: %w", err)
	}
	if s.SetReceiveBufferSize(4<<20, true) != nil {
		s.SetReceiveBufferSize(4<<20, false) // in a user namespace the kernel's limit holds
	}
	ch := make(chan Event, 256)
	stop := context.AfterFunc(ctx, func() { s.Close() })
	go func() {
		defer close(ch)
		defer stop()
		for {
			events, err := receive(s)
			if err != nil {
				return
			}
			for _, e := range events {
				select {
				case ch <- e:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return ch, nil
}

func receive(s *nl.NetlinkSocket) ([]Event, error) {
	msgs, from, err := s.Receive()
	switch {
	case errors.Is(err, unix.ENOBUFS):
		return []Event{{Lost: true}}, drain(s)
	case errors.Is(err, unix.EINTR):
		return nil, nil
	case err != nil:
		return nil, err
	case from.Pid != nl.PidKernel:
		return nil, nil
	}
	var events []Event
	for _, m := range msgs {
		if m.Header.Type != unix.RTM_NEWLINK && m.Header.Type != unix.RTM_DELLINK {
			continue
		}
		l, err := parse(m.Data)
		if err != nil || nl.DeserializeIfInfomsg(m.Data).Family == unix.AF_BRIDGE {
			continue // bridges tell of their ports' states in messages of their own
		}
		events = append(events, Event{Index: l.Index, Name: l.Name, Alias: l.Alias, Master: l.Master, MTU: l.MTU,
			Up: l.Up, Deleted: m.Header.Type == unix.RTM_DELLINK})
	}
	return events, nil
}

// drain empties a socket that has overflowed. Until it is empty the kernel drops
// what is new, and does not say so again: who looks afresh before that may miss
// something for good.
func drain(s *nl.NetlinkSocket) error {
	var b [1]byte // the rest of a message goes with its beginning
	for {
		_, _, err := unix.Recvfrom(s.GetFd(), b[:], unix.MSG_DONTWAIT)
		switch {
		case err == nil, errors.Is(err, unix.EINTR), errors.Is(err, unix.ENOBUFS):
		case errors.Is(err, unix.EAGAIN):
			return nil
		default:
			return err
		}
	}
}
