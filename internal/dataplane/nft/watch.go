package nft

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Watch tells when nftables have changed in the namespace of the process, whoever
// changed them, until ctx ends; then the channel is closed. One signal may stand
// for several changes. See Changed.
func Watch(ctx context.Context) (<-chan struct{}, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, fmt.Errorf("watching nftables: %w", err)
	}
	filter, err := bpf.Assemble(generations())
	if err == nil {
		err = errors.Join(conn.SetBPF(filter), conn.JoinGroup(unix.NFNLGRP_NFTABLES))
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("watching nftables: %w", err)
	}
	ch := make(chan struct{}, 1)
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	go func() {
		defer close(ch)
		defer conn.Close()
		defer stop()
		for {
			if _, err := conn.Receive(); err != nil && !errors.Is(err, unix.ENOBUFS) {
				return
			}
			select {
			case ch <- struct{}{}:
			default: // there is one that nobody has taken yet
			}
		}
	}()
	return ch, nil
}

// generations keeps from us all but the last message of each change, which only
// says that there was one: a change of a thousand rules tells of each of them.
func generations() []bpf.Instruction {
	const typeOffset = 4
	typ := binary.NativeEndian.AppendUint16(nil, unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWGEN)
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: typeOffset, Size: 2}, // reads big-endian
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(binary.BigEndian.Uint16(typ)), SkipFalse: 1},
		bpf.RetConstant{Val: 1 << 16},
		bpf.RetConstant{Val: 0},
	}
}

// Changed reports whether anybody else has changed nftables in the namespace since
// Converge looked last.
func (c *Conn) Changed() (bool, error) {
	k, err := dial(c.nsFD)
	if err != nil {
		return false, err
	}
	defer k.close()
	gen, err := k.generation()
	return gen != c.gen, err
}
