package dhcp

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/weftnet/weft/internal/host"
)

// nameTTL is what dnsmasq tells for names from its hosts file: ask again.
const nameTTL = 0

// zone is the names of one network's ports. Keys are lower case and complete. It is
// immutable.
type zone struct {
	domain    string // complete; "." is none
	addresses map[string][]netip.Addr
	names     map[netip.Addr]string
	subnets   []netip.Prefix
}

func newZone(n *host.Network) zone {
	z := zone{domain: dns.CanonicalName(n.DHCP.Domain), addresses: map[string][]netip.Addr{}, names: map[netip.Addr]string{}}
	for i := range n.Subnets {
		z.subnets = append(z.subnets, n.Subnets[i].CIDR)
	}
	for i := range n.Leases {
		l := &n.Leases[i]
		if !served(l.Owner) {
			continue
		}
		for _, a := range l.Addresses {
			z.add(hostname(l, a.Prefix.Addr()), a.Prefix.Addr())
		}
	}
	return z
}

func (z zone) add(name string, a netip.Addr) {
	short := dns.CanonicalName(name)
	full := short
	if z.domain != "." {
		full += z.domain
		z.addresses[short] = append(z.addresses[short], a)
	}
	z.addresses[full] = append(z.addresses[full], a)
	z.names[a] = full
}

// local reports whether an address is on the network.
func (z zone) local(a netip.Addr) bool {
	return slices.ContainsFunc(z.subnets, func(p netip.Prefix) bool { return p.Contains(a) })
}

// answer is the reply to a query about the network's own names, or one that refuses
// the query for its form. It is nil for a question that somebody else may know the
// answer to.
func (z zone) answer(q *dns.Msg) *dns.Msg {
	if q.Opcode != dns.OpcodeQuery {
		return reply(q, dns.RcodeNotImplemented)
	}
	if opt := q.IsEdns0(); opt != nil && opt.Version() != 0 {
		return reply(q, dns.RcodeBadVers)
	}
	if len(q.Question) != 1 {
		return reply(q, dns.RcodeFormatError)
	}
	ask := q.Question[0]
	if ask.Qclass != dns.ClassINET {
		return reply(q, dns.RcodeRefused)
	}
	name := dns.CanonicalName(ask.Name)
	at := reverse(name)
	if full, known := z.names[at]; known {
		return z.tell(q, pointer(ask, full))
	}
	if found, known := z.addresses[name]; known {
		return z.tell(q, records(ask, found))
	}
	if z.owns(name, ask.Qtype) || at.IsPrivate() && z.local(at) {
		m := reply(q, dns.RcodeNameError)
		m.Authoritative = true
		return m
	}
	return nil
}

// owns reports whether nobody else can know a name: it is in the network's domain, or
// a host's without any.
func (z zone) owns(name string, kind uint16) bool {
	if z.domain != "." && dns.IsSubDomain(z.domain, name) {
		return true
	}
	return dns.CountLabel(name) == 1 && (kind == dns.TypeA || kind == dns.TypeAAAA)
}

func (z zone) tell(q *dns.Msg, answers []dns.RR) *dns.Msg {
	m := reply(q, dns.RcodeSuccess)
	m.Authoritative, m.Answer = true, answers
	return m
}

func reply(q *dns.Msg, rcode int) *dns.Msg {
	m := new(dns.Msg).SetRcode(q, rcode)
	m.RecursionAvailable = true
	return m
}

func header(ask dns.Question, kind uint16) dns.RR_Header {
	return dns.RR_Header{Name: ask.Name, Rrtype: kind, Class: dns.ClassINET, Ttl: nameTTL}
}

func pointer(ask dns.Question, full string) []dns.RR {
	if ask.Qtype != dns.TypePTR && ask.Qtype != dns.TypeANY {
		return nil
	}
	return []dns.RR{&dns.PTR{Hdr: header(ask, dns.TypePTR), Ptr: full}}
}

func records(ask dns.Question, found []netip.Addr) (out []dns.RR) {
	for _, a := range found {
		switch {
		case a.Is4() && (ask.Qtype == dns.TypeA || ask.Qtype == dns.TypeANY):
			out = append(out, &dns.A{Hdr: header(ask, dns.TypeA), A: net.IP(a.AsSlice())})
		case a.Is6() && (ask.Qtype == dns.TypeAAAA || ask.Qtype == dns.TypeANY):
			out = append(out, &dns.AAAA{Hdr: header(ask, dns.TypeAAAA), AAAA: net.IP(a.AsSlice())})
		}
	}
	return out
}

// reverse is the address that a complete name in in-addr.arpa or ip6.arpa stands for,
// invalid for any other name.
func reverse(name string) netip.Addr {
	labels := dns.SplitDomainName(name)
	slices.Reverse(labels)
	var text string
	switch {
	case len(labels) == 6 && labels[0] == "arpa" && labels[1] == "in-addr":
		text = strings.Join(labels[2:], ".")
	case len(labels) == 34 && labels[0] == "arpa" && labels[1] == "ip6":
		for i, nibble := range labels[2:] {
			if i > 0 && i%4 == 0 {
				text += ":"
			}
			text += nibble
		}
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}
	}
	return a
}

// maxUDP is the longest answer by UDP, whatever the asker could take: fragments get
// lost, and a forged sender would have us send him more.
const maxUDP = 1232

// seal makes an answer one to this query that fits the way it goes: what is cut off
// can be had by TCP.
func seal(m, q *dns.Msg, tcp bool) ([]byte, error) {
	size := dns.MaxMsgSize
	opt := q.IsEdns0()
	if !tcp {
		size = dns.MinMsgSize
		if opt != nil {
			size = min(max(int(opt.UDPSize()), dns.MinMsgSize), maxUDP)
		}
	}
	m.Extra = slices.DeleteFunc(m.Extra, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeOPT })
	if opt != nil {
		m.SetEdns0(maxUDP, opt.Do())
	}
	m.Truncate(size)
	return m.Pack()
}
