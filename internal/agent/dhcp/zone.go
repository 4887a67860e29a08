package dhcp

import (
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/weftnet/weft/internal/host"
)

// nameTTL is what dnsmasq tells for names from its hosts file: ask again.
const nameTTL = 0

// zone is the names of one network's ports. Keys are lower case and have no
// trailing dot. It is immutable.
type zone struct {
	domain    string
	addresses map[string][]netip.Addr
	names     map[netip.Addr]string
}

func newZone(n *host.Network) zone {
	z := zone{
		domain:    strings.ToLower(strings.TrimSuffix(n.DHCP.Domain, ".")),
		addresses: map[string][]netip.Addr{},
		names:     map[netip.Addr]string{},
	}
	for i := range n.Leases {
		l := &n.Leases[i]
		if !served(l.Owner) {
			continue
		}
		for _, a := range l.Addresses {
			z.add(strings.ToLower(hostname(l, a.Prefix.Addr())), a.Prefix.Addr())
		}
	}
	return z
}

func (z zone) add(name string, a netip.Addr) {
	full := name
	if z.domain != "" {
		full += "." + z.domain
		z.addresses[name] = append(z.addresses[name], a)
	}
	z.addresses[full] = append(z.addresses[full], a)
	z.names[a] = full
}

// resolve answers a question about the network's own names. It is not ok for a
// question that somebody else may know the answer to.
func (z zone) resolve(q dnsmessage.Question) (answers []dnsmessage.Resource, rcode dnsmessage.RCode, ok bool) {
	name := strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))
	if q.Class != dnsmessage.ClassINET {
		return nil, dnsmessage.RCodeRefused, true
	}
	if q.Type == dnsmessage.TypePTR {
		target, known := z.names[reverse(name)]
		if !known {
			return nil, 0, false
		}
		return pointer(q.Name, target), dnsmessage.RCodeSuccess, true
	}
	if found, known := z.addresses[name]; known {
		return records(q, found), dnsmessage.RCodeSuccess, true
	}
	ours := z.domain != "" && (name == z.domain || strings.HasSuffix(name, "."+z.domain))
	if ours || !strings.Contains(name, ".") {
		return nil, dnsmessage.RCodeNameError, true
	}
	return nil, 0, false
}

func header(name dnsmessage.Name) dnsmessage.ResourceHeader {
	return dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: nameTTL}
}

func pointer(name dnsmessage.Name, target string) []dnsmessage.Resource {
	ptr, err := dnsmessage.NewName(target + ".")
	if err != nil {
		return nil
	}
	return []dnsmessage.Resource{{Header: header(name), Body: &dnsmessage.PTRResource{PTR: ptr}}}
}

func records(q dnsmessage.Question, found []netip.Addr) []dnsmessage.Resource {
	var out []dnsmessage.Resource
	for _, a := range found {
		switch {
		case a.Is4() && (q.Type == dnsmessage.TypeA || q.Type == dnsmessage.TypeALL):
			out = append(out, dnsmessage.Resource{Header: header(q.Name), Body: &dnsmessage.AResource{A: a.As4()}})
		case a.Is6() && (q.Type == dnsmessage.TypeAAAA || q.Type == dnsmessage.TypeALL):
			out = append(out, dnsmessage.Resource{Header: header(q.Name), Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
	return out
}

// reverse is the address an in-addr.arpa or ip6.arpa name stands for, invalid
// for any other name.
func reverse(name string) netip.Addr {
	if rest, is := strings.CutSuffix(name, ".in-addr.arpa"); is {
		return reverse4(strings.Split(rest, "."))
	}
	if rest, is := strings.CutSuffix(name, ".ip6.arpa"); is {
		return reverse6(strings.Split(rest, "."))
	}
	return netip.Addr{}
}

func reverse4(labels []string) netip.Addr {
	var b [4]byte
	if len(labels) != len(b) {
		return netip.Addr{}
	}
	for i, l := range labels {
		n, err := strconv.ParseUint(l, 10, 8)
		if err != nil {
			return netip.Addr{}
		}
		b[3-i] = byte(n)
	}
	return netip.AddrFrom4(b)
}

func reverse6(labels []string) netip.Addr {
	var b [16]byte
	if len(labels) != 2*len(b) {
		return netip.Addr{}
	}
	for i, l := range labels {
		n, err := strconv.ParseUint(l, 16, 4)
		if err != nil || len(l) != 1 {
			return netip.Addr{}
		}
		b[15-i/2] |= byte(n) << (4 * (i % 2))
	}
	return netip.AddrFrom16(b)
}

// respond is the packed reply to a query about the network's own names, or
// refuses. It is nil for what is no query, and not ok for a query to pass on.
func (z zone) respond(query []byte) (reply []byte, ok bool) {
	var p dnsmessage.Parser
	h, err := p.Start(query)
	if err != nil || h.Response {
		return nil, true
	}
	q, err := p.Question()
	if err != nil {
		return nil, true
	}
	answers, rcode, ok := z.resolve(q)
	if !ok {
		return nil, false
	}
	return pack(h, q, answers, rcode), true
}

// refused tells the asker to try another server.
func refused(query []byte) []byte {
	var p dnsmessage.Parser
	h, err := p.Start(query)
	if err != nil {
		return nil
	}
	q, err := p.Question()
	if err != nil {
		return nil
	}
	return pack(h, q, nil, dnsmessage.RCodeRefused)
}

// maxUDP is what every resolver accepts without EDNS.
const maxUDP = 512

func pack(h dnsmessage.Header, q dnsmessage.Question, answers []dnsmessage.Resource, rcode dnsmessage.RCode) []byte {
	m := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID: h.ID, Response: true, OpCode: h.OpCode, RecursionDesired: h.RecursionDesired,
			RecursionAvailable: true, Authoritative: rcode != dnsmessage.RCodeRefused, RCode: rcode,
		},
		Questions: []dnsmessage.Question{q},
		Answers:   answers,
	}
	b, err := m.Pack()
	if err != nil {
		return nil
	}
	if len(b) > maxUDP {
		m.Answers, m.Truncated = nil, true
		b, err = m.Pack()
	}
	if err != nil {
		return nil
	}
	return b
}
