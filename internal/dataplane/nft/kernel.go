package nft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// kernel is a socket to nftables. The library asks an acknowledgement for every
// message of a transaction; a thousand do not fit into the socket's buffer where
// its size cannot be raised, as in a user namespace. So its messages are taken
// from it and sent here, with one acknowledgement for all of them.
type kernel struct {
	conn  *netlink.Conn
	limit int // bytes of one transaction
}

// A step is a change that must not be torn apart.
type step func(*nftables.Conn) error

// bufferSize is the wish for socket buffers: a transaction has to fit.
const bufferSize = 64 << 20

func dial(nsFD int) (*kernel, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{NetNS: nsFD})
	if err != nil {
		return nil, fmt.Errorf("opening nftables: %w", err)
	}
	conn.SetOption(netlink.ExtendedAcknowledge, true)
	conn.SetReadBuffer(bufferSize)
	conn.SetWriteBuffer(bufferSize) // without root the host's limit holds
	k := &kernel{conn: conn}
	if k.limit, err = sendBuffer(conn); err != nil {
		conn.Close()
		return nil, err
	}
	return k, nil
}

func (k *kernel) close() { k.conn.Close() }

func sendBuffer(conn *netlink.Conn) (size int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	cerr := raw.Control(func(fd uintptr) { size, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF) })
	// The kernel refuses messages within 32 bytes of the size.
	return size - 4096, errors.Join(cerr, err)
}

// send carries steps out, in one transaction if they fit and in their order
// anyhow, and returns how many transactions it were.
func (k *kernel) send(steps []step) (done int, err error) {
	var batch []netlink.Message
	size := 0
	for _, s := range steps {
		msgs, err := messages(s)
		if err != nil {
			return done, err
		}
		n := 0
		for _, m := range msgs {
			n += int(m.Header.Length)
		}
		if size+n > k.limit && len(batch) > 0 {
			if err := k.transact(batch); err != nil {
				return done, err
			}
			done, batch, size = done+1, nil, 0
		}
		batch, size = append(batch, msgs...), size+n
	}
	if len(batch) == 0 {
		return done, nil
	}
	return done + 1, k.transact(batch)
}

// messages is what the library would send for a step, less begin and end.
func messages(s step) ([]netlink.Message, error) {
	var got []netlink.Message
	n, err := nftables.New(nftables.WithTestDial(func(req []netlink.Message) ([]netlink.Message, error) {
		got = req
		return nil, io.EOF // "no answers"
	}))
	if err != nil {
		return nil, err
	}
	if err := s(n); err != nil {
		return nil, err
	}
	if err := n.Flush(); err != nil {
		return nil, err
	}
	if len(got) < 2 {
		return nil, nil
	}
	return got[1 : len(got)-1], nil
}

// transact sends one transaction and waits until it is in force, or refused as a
// whole.
func (k *kernel) transact(msgs []netlink.Message) error {
	batch := make([]netlink.Message, 0, len(msgs)+2)
	batch = append(batch, border(unix.NFNL_MSG_BATCH_BEGIN))
	for _, m := range msgs {
		m.Header.Flags &^= netlink.Acknowledge | netlink.Echo
		m.Header.Sequence, m.Header.PID = 0, 0 // the socket's
		batch = append(batch, m)
	}
	batch[len(batch)-1].Header.Flags |= netlink.Acknowledge
	batch = append(batch, border(unix.NFNL_MSG_BATCH_END))
	if _, err := k.conn.SendMessages(batch); err != nil {
		return err
	}
	// Refusals come before the acknowledgement.
	_, err := k.conn.Receive()
	return err
}

func border(typ netlink.HeaderType) netlink.Message {
	return netlink.Message{
		Header: netlink.Header{Type: typ, Flags: netlink.Request},
		Data:   []byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, unix.NFNL_SUBSYS_NFTABLES},
	}
}

// generation counts the changes of nftables in the namespace.
func (k *kernel) generation() (uint32, error) {
	msgs, err := k.conn.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETGEN, Flags: netlink.Request},
		Data:   []byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, 0},
	})
	if err != nil {
		return 0, fmt.Errorf("asking nftables for its generation: %w", err)
	}
	for _, m := range msgs {
		if len(m.Data) < 4 {
			continue
		}
		ad, err := netlink.NewAttributeDecoder(m.Data[4:])
		if err != nil {
			return 0, err
		}
		ad.ByteOrder = binary.BigEndian
		for ad.Next() {
			if ad.Type() == unix.NFTA_GEN_ID {
				return ad.Uint32(), nil
			}
		}
	}
	return 0, errors.New("nftables did not tell its generation")
}
