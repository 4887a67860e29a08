// Package hostlock keeps the networks of a host, which is a network namespace, for
// one process. The lock is a unix socket with an abstract name: such names are the
// network namespace's own, whatever mounts and folders a process sees, and end with
// the process, however that ends. Whoever connects is told who has the lock.
package hostlock

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// Holder is who has the lock.
type Holder struct {
	PID      int    `json:"pid"` // 0: not visible from here
	StateDir string `json:"state_dir"`
	UID      int    `json:"-"` // as the kernel knows it
}

// HeldError is the refusal of a lock that somebody has.
type HeldError struct{ Holder Holder }

func (e *HeldError) Error() string {
	who := fmt.Sprintf("process %d of user %d", e.Holder.PID, e.Holder.UID)
	if e.Holder.PID == 0 {
		who = "a process that cannot be seen from here"
	}
	if e.Holder.StateDir == "" {
		return fmt.Sprintf("the networks of this host are held by %s, which does not say that it is a weft (abstract socket %s)",
			who, name)
	}
	return fmt.Sprintf("another weft keeps the networks of this host: %s, with state directory %s", who, e.Holder.StateDir)
}

const (
	name     = "@weft/host" // @ is how package net writes an abstract name
	patience = time.Second  // with a holder that does not answer
	limit    = 8 << 10      // of what it says
)

// Take takes the lock of the network namespace that the process is in, or returns
// a HeldError. The lock ends with release or with the process.
func Take(me Holder) (release func(), err error) {
	text, err := json.Marshal(me)
	if err != nil {
		return nil, err
	}
	for range 3 { // the holder may end while it is asked
		l, err := net.Listen("unix", name)
		if err == nil {
			go tell(l, text)
			return func() { l.Close() }, nil
		}
		if !errors.Is(err, unix.EADDRINUSE) {
			return nil, fmt.Errorf("taking the lock of this host: %w", err)
		}
		holder, err := ask()
		if err == nil {
			return nil, &HeldError{holder}
		}
		if !errors.Is(err, unix.ECONNREFUSED) {
			return nil, fmt.Errorf("the networks of this host are held by another process, which cannot be asked who it is: %w", err)
		}
	}
	return nil, errors.New("the lock of this host changes hands too fast")
}

// tell answers who asks, one at a time.
func tell(l net.Listener, text []byte) {
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(patience / 10) // as without descriptors
			continue
		}
		c.SetDeadline(time.Now().Add(patience))
		c.Write(text)
		c.Close()
	}
}

// ask is who has the lock. What it says of itself counts only as words; who it is
// the kernel tells.
func ask() (Holder, error) {
	c, err := net.DialTimeout("unix", name, patience)
	if err != nil {
		return Holder{}, err
	}
	defer c.Close()
	var h Holder
	c.SetDeadline(time.Now().Add(patience))
	if text, err := io.ReadAll(io.LimitReader(c, limit)); err == nil {
		json.Unmarshal(text, &h) // nothing is an answer too
	}
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return Holder{}, err
	}
	var cred *unix.Ucred
	cerr := raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err := errors.Join(cerr, err); err != nil {
		return Holder{}, err
	}
	h.PID, h.UID = int(cred.Pid), int(cred.Uid)
	return h, nil
}
