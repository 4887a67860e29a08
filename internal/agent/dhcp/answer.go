package dhcp

import (
	"bytes"
	"net"
	"net/netip"
	"slices"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/weftnet/weft"
)

// answer is the reply to a client's message, or nil for silence. Silence is for
// clients that are not ours, for messages that want no reply, and for requests
// that were meant for another server.
func (t *table) answer(req *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	l := t.client(req)
	if l == nil {
		return nil
	}
	switch req.MessageType() {
	case dhcpv4.MessageTypeDiscover:
		return l.reply(req, dhcpv4.MessageTypeOffer, l.choose(address(req.RequestedIPAddress())))
	case dhcpv4.MessageTypeRequest:
		return t.request(l, req)
	case dhcpv4.MessageTypeInform:
		return l.inform(req)
	}
	return nil // RELEASE and DECLINE: addresses are not ours to take back
}

// client finds who asks. Relayed messages are refused: no relay is part of a
// network we serve, and their replies would go where the sender likes.
func (t *table) client(req *dhcpv4.DHCPv4) *lease {
	if req.OpCode != dhcpv4.OpcodeBootRequest || req.HWType != iana.HWTypeEthernet ||
		len(req.ClientHWAddr) != 6 || !req.GatewayIPAddr.Equal(net.IPv4zero) {
		return nil
	}
	return t.leases[weft.MAC(req.ClientHWAddr)]
}

// request handles the four states a DHCPREQUEST comes from (RFC 2131, 4.3.2):
// selecting names the server, rebooting names the address, renewing and
// rebinding have it already.
func (t *table) request(l *lease, req *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	if server := address(req.ServerIdentifier()); server.IsValid() && !slices.Contains(t.servers, server) {
		return nil
	}
	wanted := address(req.RequestedIPAddress())
	if !wanted.IsValid() {
		wanted = address(req.ClientIPAddr)
	}
	if !wanted.IsValid() {
		return nil
	}
	o := l.choose(wanted)
	if o.addr != wanted {
		return l.refuse(req, o)
	}
	return l.reply(req, dhcpv4.MessageTypeAck, o)
}

// choose is the offer of the wanted address, else the first one.
func (l *lease) choose(wanted netip.Addr) offer {
	for _, o := range l.offers {
		if o.addr == wanted {
			return o
		}
	}
	return l.offers[0]
}

// inform tells a client that has its address by other means everything but that.
func (l *lease) inform(req *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	if !address(req.ClientIPAddr).IsValid() {
		return nil
	}
	m := l.reply(req, dhcpv4.MessageTypeAck, l.choose(address(req.ClientIPAddr)))
	m.YourIPAddr = net.IPv4zero
	m.Options.Del(dhcpv4.OptionIPAddressLeaseTime)
	m.Options.Del(dhcpv4.OptionRenewTimeValue)
	m.Options.Del(dhcpv4.OptionRebindingTimeValue)
	return m
}

func (l *lease) refuse(req *dhcpv4.DHCPv4, o offer) *dhcpv4.DHCPv4 {
	m := newReply(req, dhcpv4.MessageTypeNak)
	m.ClientIPAddr = net.IPv4zero
	m.SetBroadcast()
	m.Options[dhcpv4.OptionServerIdentifier.Code()] = o.subnet.server.AsSlice()
	m.UpdateOption(dhcpv4.OptMessage("wrong address"))
	return m
}

// newReply is a reply with nothing in it yet but what the request dictates.
func newReply(req *dhcpv4.DHCPv4, kind dhcpv4.MessageType) *dhcpv4.DHCPv4 {
	m := &dhcpv4.DHCPv4{
		OpCode:        dhcpv4.OpcodeBootReply,
		HWType:        req.HWType,
		TransactionID: req.TransactionID,
		Flags:         req.Flags,
		ClientIPAddr:  req.ClientIPAddr,
		YourIPAddr:    net.IPv4zero,
		ServerIPAddr:  net.IPv4zero,
		GatewayIPAddr: net.IPv4zero,
		ClientHWAddr:  req.ClientHWAddr,
		Options:       make(dhcpv4.Options, 20),
	}
	m.Options[dhcpv4.OptionDHCPMessageType.Code()] = []byte{byte(kind)}
	if id := req.Options.Get(dhcpv4.OptionClientIdentifier); id != nil {
		m.Options[dhcpv4.OptionClientIdentifier.Code()] = id // RFC 6842
	}
	return m
}

func (l *lease) reply(req *dhcpv4.DHCPv4, kind dhcpv4.MessageType, o offer) *dhcpv4.DHCPv4 {
	m := newReply(req, kind)
	m.YourIPAddr = o.addr.AsSlice()
	m.ServerIPAddr = o.subnet.server.AsSlice()
	w := wishesOf(req)
	for code, value := range o.subnet.options {
		if w.want(code) {
			m.Options[code] = value
		}
	}
	if w.want(dhcpv4.OptionHostName.Code()) {
		m.Options[dhcpv4.OptionHostName.Code()] = o.hostname
	}
	tags := tagsOf(req)
	for _, e := range l.extras {
		if e.meant(tags) {
			e.add(m, w, o.subnet.server)
		}
	}
	fit(m, room(req))
	return m
}

// tagsOf is what is known of a client, in the words of the dnsmasq that Neutron
// starts: ipxe is who sends iPXE's own option, ipxe6 who says so in its user class.
// A DHCPv4 client that only says so is ipxe here, too: it is one.
func tagsOf(req *dhcpv4.DHCPv4) []string {
	tags := []string{"known"}
	named := bytes.Contains(req.Options.Get(dhcpv4.OptionUserClassInformation), []byte("iPXE"))
	if named {
		tags = append(tags, "ipxe6")
	}
	if named || req.Options.Has(dhcpv4.GenericOptionCode(codeIPXE)) {
		tags = append(tags, "ipxe")
	}
	return tags
}

// codeIPXE encapsulates iPXE's options.
const codeIPXE = 175

// add puts a port's own option over the subnet's. A network boot ROM reads its
// server's address from the header, and its file and the server's name, too, unless
// it asks for these options.
func (e extra) add(m *dhcpv4.DHCPv4, w wishes, server netip.Addr) {
	value := e.from(server)
	if e.code == codeNextServer {
		if len(value) > 0 {
			m.ServerIPAddr = value[:net.IPv4len]
		}
		return
	}
	sent := w.want(e.code)
	if field, size := headerField(m, e.code); field != nil && len(value) > 0 {
		*field = ""
		if !w.name(e.code) && len(value) <= size {
			*field = string(value)
		} else {
			sent = true // also unasked, if the header has no room for it
		}
		value = append(value[:len(value):len(value)], 0) // ROMs rely on it
	}
	switch {
	case sent && len(value) == 0:
		delete(m.Options, e.code)
	case sent:
		m.Options[e.code] = value
	}
}

// headerField is the field of the header that an option can be in, and its length.
func headerField(m *dhcpv4.DHCPv4, code uint8) (field *string, size int) {
	switch code {
	case dhcpv4.OptionTFTPServerName.Code():
		return &m.ServerHostName, 63
	case dhcpv4.OptionBootfileName.Code():
		return &m.BootFileName, 127
	}
	return nil, 0
}

// unasked are the options every reply carries: those of the protocol, the two
// that make an address usable, and the MTU, because a guest that does not ask for
// it loses large packets in a tunnel.
func unasked(code uint8) bool {
	switch code {
	case 1, 26, 28, 51, 53, 54, 58, 59:
		return true
	}
	return false
}

// wishes is the options that a client lists. One without a list gets all.
type wishes struct {
	listed bool
	codes  []byte
}

func wishesOf(req *dhcpv4.DHCPv4) wishes {
	codes, listed := req.Options[dhcpv4.OptionParameterRequestList.Code()]
	return wishes{listed, codes}
}

// name reports whether the client lists the option.
func (w wishes) name(code uint8) bool { return slices.Contains(w.codes, code) }

// want reports whether the client is to get the option.
func (w wishes) want(code uint8) bool { return !w.listed || unasked(code) || w.name(code) }

// headers of IP and UDP, which option 57 counts and our messages do not.
const headers = 28

// room is how long a reply may be.
func room(req *dhcpv4.DHCPv4) int {
	size, err := req.MaxMessageSize()
	if err != nil || size > 1500 {
		size = 1500
	}
	return max(int(size), 576) - headers
}

// fit leaves options out until the message is short enough: first the copy of
// the routes, then what has the highest number, never what a lease lives on.
func fit(m *dhcpv4.DHCPv4, room int) {
	size := 240 + 1
	codes := make([]uint8, 0, len(m.Options))
	for code, v := range m.Options {
		size += wireSize(v)
		codes = append(codes, code)
	}
	if size <= room {
		return
	}
	slices.Sort(codes)
	slices.Reverse(codes)
	for _, code := range codes {
		if size <= room {
			return
		}
		if !unasked(code) && code != dhcpv4.OptionRouter.Code() {
			size -= wireSize(m.Options[code])
			delete(m.Options, code)
		}
	}
}

// wireSize counts the two bytes of header that each 255 bytes of a value need.
func wireSize(v []byte) int { return len(v) + 2*max(1, (len(v)+254)/255) }

// address is ip as a netip.Addr, invalid when there is none or it is 0.0.0.0.
func address(ip net.IP) netip.Addr {
	a, ok := netip.AddrFromSlice(ip.To4())
	if !ok || a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}

// destination is where a reply goes (RFC 2131, 4.1). A client without an address
// is reached by broadcast whatever its flags say: it cannot answer ARP yet.
func destination(m *dhcpv4.DHCPv4) *net.UDPAddr {
	to := &net.UDPAddr{IP: net.IPv4bcast, Port: dhcpv4.ClientPort}
	if m.MessageType() != dhcpv4.MessageTypeNak && address(m.ClientIPAddr).IsValid() {
		to.IP = m.ClientIPAddr
	}
	return to
}
