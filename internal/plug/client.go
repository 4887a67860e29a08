package plug

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"

	"github.com/weftnet/weft/internal/dataplane/netns"
)

// firstTimeout is when a question is repeated for the first time: soon, because
// the port may still be on its way to the host's agent.
const firstTimeout = 200 * time.Millisecond

// DHCP takes an address by DHCPv4 on a device of a namespace, and puts in force
// all that the server tells: address, routes, MTU, and the name servers in
// /etc/netns/<name>/resolv.conf where that can be written. It asks until it gets
// an answer or ctx ends. What the device had before (addresses, and routes that a
// DHCP client made) is replaced. It does not stay to renew the lease.
func DHCP(ctx context.Context, namespace, device string) (Lease, error) {
	h, err := openDevice(namespace, device)
	if err != nil {
		return Lease{}, err
	}
	defer h.Close()
	if err := h.up(); err != nil {
		return Lease{}, err
	}
	l, err := ask(ctx, namespace, device)
	if err != nil {
		return Lease{}, fmt.Errorf("asking for an address on %s in %s: %w", device, namespace, err)
	}
	if err := h.configure(l); err != nil {
		return l, err
	}
	l.Resolv = writeResolv(namespace, l)
	return l, nil
}

// ask goes through discovery until a server acknowledges.
func ask(ctx context.Context, namespace, device string) (Lease, error) {
	c, err := newClient(namespace, device)
	if err != nil {
		return Lease{}, err
	}
	defer c.Close()
	for {
		got, err := c.Request(ctx, dhcpv4.WithRequestedOptions(
			dhcpv4.OptionSubnetMask, dhcpv4.OptionRouter, dhcpv4.OptionDomainNameServer, dhcpv4.OptionHostName,
			dhcpv4.OptionDomainName, dhcpv4.OptionInterfaceMTU, dhcpv4.OptionClasslessStaticRoute))
		if err == nil {
			if l, ok := newLease(got.ACK); ok {
				return l, nil
			}
		}
		if ctx.Err() != nil {
			return Lease{}, errors.Join(ctx.Err(), err)
		}
		if nak := (*nclient4.ErrNak)(nil); err != nil && !errors.Is(err, nclient4.ErrNoResponse) && !errors.As(err, &nak) {
			return Lease{}, err
		}
	}
}

// newClient opens the client's socket in the namespace, where it stays whatever
// thread uses it later.
func newClient(namespace, device string) (c *nclient4.Client, err error) {
	err = netns.Do(namespace, func() error {
		c, err = nclient4.New(device, nclient4.WithTimeout(firstTimeout), nclient4.WithRetry(4))
		return err
	})
	return c, err
}
