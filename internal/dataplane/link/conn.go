package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// batch is how many messages go out at once: their answers must fit into the
// socket's receive buffer, because the kernel answers before we read.
const batch = 64

// conn sends messages of which the kernel does the work before send returns.
type conn struct {
	mu  sync.Mutex
	fd  int
	seq uint32
	buf []byte
}

// dial opens a connection in the thread's namespace.
func dial() (*conn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	err = errors.Join(
		unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}),
		unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1),
		unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1))
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &conn{fd: fd, buf: make([]byte, 1<<16)}, nil
}

func (c *conn) close() { unix.Close(c.fd) }

// run does the requests in order, a bad one not stopping the next, and returns
// what each came to.
func (c *conn) run(reqs []*nl.NetlinkRequest) ([]error, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var results []error
	for len(reqs) > 0 {
		n := min(len(reqs), batch)
		part, err := c.runPart(reqs[:n])
		if err != nil {
			return results, err
		}
		results, reqs = append(results, part...), reqs[n:]
	}
	return results, nil
}

func (c *conn) runPart(reqs []*nl.NetlinkRequest) ([]error, error) {
	first := c.seq + 1
	var out []byte
	for _, r := range reqs {
		c.seq++
		r.Seq = c.seq
		r.Flags |= unix.NLM_F_ACK
		out = append(out, r.Serialize()...)
		for len(out)%unix.NLMSG_ALIGNTO != 0 {
			out = append(out, 0)
		}
	}
	if err := unix.Sendto(c.fd, out, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, os.NewSyscallError("sendto", err)
	}
	results := make([]error, len(reqs))
	for waiting := len(reqs); waiting > 0; {
		msgs, err := c.receive()
		if err != nil {
			return nil, err
		}
		for _, m := range msgs {
			if i := int(int32(m.Header.Seq - first)); m.Header.Type == unix.NLMSG_ERROR && i >= 0 && i < len(reqs) {
				results[i] = ackError(m)
				waiting--
			}
		}
	}
	return results, nil
}

func (c *conn) receive() ([]syscall.NetlinkMessage, error) {
	for {
		n, _, err := unix.Recvfrom(c.fd, c.buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, os.NewSyscallError("recvfrom", err)
		}
		return syscall.ParseNetlinkMessage(c.buf[:n])
	}
}

// get asks for one thing and returns the answer.
func (c *conn) get(req *nl.NetlinkRequest) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.send(req); err != nil {
		return nil, err
	}
	for {
		msgs, err := c.receive()
		if err != nil {
			return nil, err
		}
		for _, m := range msgs {
			switch {
			case m.Header.Seq != req.Seq:
			case m.Header.Type == unix.NLMSG_ERROR:
				return nil, ackError(m)
			default:
				return slices.Clone(m.Data), nil
			}
		}
	}
}

func (c *conn) send(req *nl.NetlinkRequest) error {
	c.seq++
	req.Seq = c.seq
	err := unix.Sendto(c.fd, req.Serialize(), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	return os.NewSyscallError("sendto", err)
}

// dump asks for a list and hands each answer to f, which must not keep it. A list
// torn by a change meanwhile is errInterrupted; f has seen parts of it then.
func (c *conn) dump(req *nl.NetlinkRequest, f func([]byte) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	req.Flags |= unix.NLM_F_DUMP
	if err := c.send(req); err != nil {
		return err
	}
	var torn bool
	var failed error
	for {
		msgs, err := c.receive()
		if err != nil {
			return err
		}
		for _, m := range msgs {
			if m.Header.Seq != req.Seq {
				continue
			}
			torn = torn || m.Header.Flags&unix.NLM_F_DUMP_INTR != 0
			switch m.Header.Type {
			case unix.NLMSG_DONE, unix.NLMSG_ERROR:
				if torn {
					return errInterrupted
				}
				return errors.Join(failed, ackError(m))
			default:
				failed = errors.Join(failed, f(m.Data))
			}
		}
	}
}

// list collects a dump, repeating it while it comes torn. Under constant change
// of the kernel's tables it gives up after some tries.
func list[T any](c *conn, request func() *nl.NetlinkRequest, parse func([]byte) (T, bool, error)) ([]T, error) {
	var err error
	for range 20 {
		var all []T
		err = c.dump(request(), func(b []byte) error {
			v, ok, err := parse(b)
			if ok {
				all = append(all, v)
			}
			return err
		})
		if !errors.Is(err, errInterrupted) {
			return all, err
		}
	}
	return nil, err
}

var errInterrupted = errors.New("the list changed while it was read")

// ackError is the outcome that an acknowledgement carries, with the kernel's own
// words if it has any.
func ackError(m syscall.NetlinkMessage) error {
	if len(m.Data) < 4 {
		return nil
	}
	errno := int32(binary.NativeEndian.Uint32(m.Data))
	if errno == 0 {
		return nil
	}
	err := syscall.Errno(-errno)
	const header = 4 + unix.SizeofNlMsghdr // errno and the header of what was asked
	if m.Header.Flags&unix.NLM_F_ACK_TLVS == 0 || len(m.Data) < header {
		return err
	}
	attrs, _ := nl.ParseRouteAttr(m.Data[header:])
	for _, a := range attrs {
		if a.Attr.Type == nl.NLMSGERR_ATTR_MSG {
			return fmt.Errorf("%w (%s)", err, unix.ByteSliceToString(a.Value))
		}
	}
	return err
}
