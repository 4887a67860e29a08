package nft

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

func native32(n uint32) []byte { return binaryutil.NativeEndian.PutUint32(n) }

// firstReg is the first of the 4-byte registers, in which keys are put together.
const firstReg = unix.NFT_REG32_00

// Field is something of a packet that can be matched or looked up.
type Field struct {
	text string
	size int
	load func(reg uint32) expr.Any
}

func payload(text string, base expr.PayloadBase, offset, size int) Field {
	return Field{text, size, func(reg uint32) expr.Any {
		return &expr.Payload{DestRegister: reg, Base: base, Offset: uint32(offset), Len: uint32(size)}
	}}
}

func metaField(text string, key expr.MetaKey, size int) Field {
	return Field{text, size, func(reg uint32) expr.Any { return &expr.Meta{Key: key, Register: reg} }}
}

// The fields. Those of a layer read rubbish where the packet does not have it:
// match the protocol first.
var (
	IIF        = metaField("iifname", expr.MetaKeyIIFNAME, 16)
	OIF        = metaField("oifname", expr.MetaKeyOIFNAME, 16)
	MetaMark   = metaField("meta mark", expr.MetaKeyMARK, 4)
	L4Proto    = metaField("meta l4proto", expr.MetaKeyL4PROTO, 1)
	L3Proto    = metaField("meta protocol", expr.MetaKeyPROTOCOL, 2) // behind a VLAN tag, if there is one
	NFProto    = metaField("meta nfproto", expr.MetaKeyNFPROTO, 1)
	EtherSaddr = payload("ether saddr", expr.PayloadBaseLLHeader, 6, 6)
	EtherDaddr = payload("ether daddr", expr.PayloadBaseLLHeader, 0, 6)
	EtherType  = payload("ether type", expr.PayloadBaseLLHeader, 12, 2)
	VLANTag    = payload("vlan tag", expr.PayloadBaseLLHeader, 14, 2) // priority and id
	ARPSHA     = payload("arp saddr ether", expr.PayloadBaseNetworkHeader, 8, 6)
	ARPSPA     = payload("arp saddr ip", expr.PayloadBaseNetworkHeader, 14, 4)
	ARPFormat  = payload("arp htype . ptype . hlen . plen", expr.PayloadBaseNetworkHeader, 0, 6)
	IPFragment = payload("ip frag-off", expr.PayloadBaseNetworkHeader, 6, 2) // flags and offset
	IPSaddr    = payload("ip saddr", expr.PayloadBaseNetworkHeader, 12, 4)
	IPDaddr    = payload("ip daddr", expr.PayloadBaseNetworkHeader, 16, 4)
	IP6Saddr   = payload("ip6 saddr", expr.PayloadBaseNetworkHeader, 8, 16)
	IP6Daddr   = payload("ip6 daddr", expr.PayloadBaseNetworkHeader, 24, 16)
	SPort      = payload("th sport", expr.PayloadBaseTransportHeader, 0, 2)
	DPort      = payload("th dport", expr.PayloadBaseTransportHeader, 2, 2)
	ICMPType   = payload("icmp type", expr.PayloadBaseTransportHeader, 0, 1)
	ICMPCode   = payload("icmp code", expr.PayloadBaseTransportHeader, 1, 1)
	NDTarget   = payload("nd target", expr.PayloadBaseTransportHeader, 8, 16)
)

// Bits is the width of the field.
func (f Field) Bits() int { return 8 * f.size }

// Is matches a field that equals a constant.
func (f Field) Is(d Datum) Part { return f.compare(expr.CmpOpEq, "", d) }

// IsNot matches a field that differs from a constant.
func (f Field) IsNot(d Datum) Part { return f.compare(expr.CmpOpNeq, "!= ", d) }

func (f Field) compare(op expr.CmpOp, sign string, d Datum) Part {
	return Part{f.text + " " + sign + d.String(), []expr.Any{f.load(1), &expr.Cmp{Op: op, Register: 1, Data: d.bytes}}}
}

// Num is a number in the width of a field, in network order.
func (f Field) num(n int) []byte {
	b := make([]byte, 8)
	binary.BigEndian.PutUint64(b, uint64(n))
	return b[8-f.size:]
}

// Eq matches a field that is a number.
func (f Field) Eq(n int) Part {
	return f.Is(Datum{kind: other, bytes: f.num(n), decimal: fmt.Sprint(n)})
}

// Between matches a field within inclusive bounds.
func (f Field) Between(lo, hi int) Part {
	if lo == hi {
		return f.Eq(lo)
	}
	return Part{fmt.Sprintf("%s %d-%d", f.text, lo, hi), []expr.Any{f.load(1),
		&expr.Cmp{Op: expr.CmpOpGte, Register: 1, Data: f.num(lo)}, &expr.Cmp{Op: expr.CmpOpLte, Register: 1, Data: f.num(hi)}}}
}

// In matches an address within a prefix.
func (f Field) In(p netip.Prefix) Part {
	p = p.Masked()
	if p.IsSingleIP() {
		return f.Is(Addr(p.Addr()))
	}
	return Part{f.text + " " + p.String(), []expr.Any{f.load(1), f.mask(1, p.Bits()),
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: p.Addr().AsSlice()}}}
}

// LastBits matches a field whose last bits are a number.
func (f Field) LastBits(bits, n int) Part {
	return Part{fmt.Sprintf("%s & 0x%x == %d", f.text, 1<<bits-1, n), []expr.Any{f.load(1),
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: uint32(f.size), Mask: f.num(1<<bits - 1), Xor: make([]byte, f.size)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: f.num(n)}}}
}

// mask clears in a register all but the first bits of the field.
func (f Field) mask(reg uint32, bits int) expr.Any {
	mask := make([]byte, f.size)
	for i := range bits {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	return &expr.Bitwise{SourceRegister: reg, DestRegister: reg, Len: uint32(f.size), Mask: mask, Xor: make([]byte, f.size)}
}

// IfPrefix matches interface names that begin with a prefix.
func (f Field) IfPrefix(prefix string) Part {
	return Part{fmt.Sprintf("%s %q*", f.text, prefix), []expr.Any{f.load(1), &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte(prefix)}}}
}

// load puts fields together in the registers from firstReg on, as a key.
func load(fields []Field) (text string, exprs []expr.Any) {
	reg := uint32(firstReg)
	for i, f := range fields {
		if i > 0 {
			text += " . "
		}
		text += f.text
		exprs = append(exprs, f.load(reg))
		reg += uint32((f.size + 3) / 4)
	}
	return text, exprs
}

// InSet matches packets whose fields are a member of a set.
func InSet(set string, fields ...Field) Part {
	text, exprs := load(fields)
	return Part{text + " @" + set, append(exprs, &expr.Lookup{SourceRegister: firstReg, SetName: set})}
}

// PrefixInSet matches packets with an address whose prefix of this length is a member
// of a set.
func PrefixInSet(set string, f Field, bits int) Part {
	return Part{fmt.Sprintf("%s & /%d @%s", f.text, bits, set), []expr.Any{f.load(firstReg), f.mask(firstReg, bits),
		&expr.Lookup{SourceRegister: firstReg, SetName: set}}}
}

// NotInSet matches packets whose fields are no member of a set.
func NotInSet(set string, fields ...Field) Part {
	text, exprs := load(fields)
	return Part{text + " != @" + set, append(exprs, &expr.Lookup{SourceRegister: firstReg, SetName: set, Invert: true})}
}

// VMap gives the verdict that a map has for the fields, if it has one.
func VMap(m string, fields ...Field) Part {
	text, exprs := load(fields)
	return Part{text + " vmap @" + m, append(exprs, &expr.Lookup{SourceRegister: firstReg, DestRegister: unix.NFT_REG_VERDICT, IsDestRegSet: true, SetName: m})}
}

// SetMarkFrom sets the mark to what a map has for the fields; where it has nothing
// the rule ends.
func SetMarkFrom(m string, fields ...Field) Part {
	text, exprs := load(fields)
	return Part{"meta mark set " + text + " map @" + m, append(exprs,
		&expr.Lookup{SourceRegister: firstReg, DestRegister: 1, IsDestRegSet: true, SetName: m},
		&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: 1})}
}

// MarkBits matches marks that have, of the bits in mask, exactly those in value.
func MarkBits(mask, value uint32) Part {
	return Part{fmt.Sprintf("meta mark & 0x%08x == 0x%08x", mask, value), []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: native32(mask), Xor: native32(0)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: native32(value)}}}
}

// MarkOr sets bits of the mark.
func MarkOr(bits uint32) Part {
	return Part{fmt.Sprintf("meta mark set meta mark | 0x%08x", bits), []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: native32(^bits), Xor: native32(bits)},
		&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: 1}}}
}

// MarkReplace sets, of the bits in mask, exactly those in value.
func MarkReplace(mask, value uint32) Part {
	return Part{fmt.Sprintf("meta mark set meta mark & 0x%08x | 0x%08x", ^mask, value), []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: native32(^mask), Xor: native32(value)},
		&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: 1}}}
}

// SetMark sets the mark.
func SetMark(n uint32) Part {
	return Part{fmt.Sprintf("meta mark set 0x%08x", n), []expr.Any{
		&expr.Immediate{Register: 1, Data: native32(n)}, &expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: 1}}}
}

// ZoneFromMark takes the low 16 bits of the mark as conntrack zone. nft's own
// language cannot say it; the kernel can.
func ZoneFromMark() Part {
	return Part{"ct zone set meta mark & 0x0000ffff", []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: native32(0xffff), Xor: native32(0)},
		&expr.Ct{Key: expr.CtKeyZONE, Register: 1, SourceRegister: true}}}
}

// NoTrack keeps a packet out of connection tracking.
var NoTrack = Part{"notrack", []expr.Any{&expr.Notrack{}}}

// IP6Whole matches IPv6 packets that are no fragments.
var IP6Whole = Part{"exthdr frag missing", []expr.Any{
	&expr.Exthdr{DestRegister: 1, Type: unix.IPPROTO_FRAGMENT, Len: 1, Flags: unix.NFT_EXTHDR_F_PRESENT, Op: expr.ExthdrOpIpv6},
	&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{0}}}}

// Connection states.
const (
	Established = uint32(expr.CtStateBitESTABLISHED)
	Related     = uint32(expr.CtStateBitRELATED)
	Invalid     = uint32(expr.CtStateBitINVALID)
)

// CtState matches packets of connections in one of the states.
func CtState(bits uint32) Part {
	return Part{fmt.Sprintf("ct state & 0x%x != 0", bits), []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: native32(bits), Xor: native32(0)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: native32(0)}}}
}

// CtMarkIsNot matches packets of connections that have another mark.
func CtMarkIsNot(n uint32) Part {
	return Part{fmt.Sprintf("ct mark != 0x%08x", n), []expr.Any{
		&expr.Ct{Key: expr.CtKeyMARK, Register: 1}, &expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: native32(n)}}}
}

// ipsDNAT is IPS_DST_NAT of linux/netfilter/nf_conntrack_common.h.
const ipsDNAT = 1 << 5

// Translated matches connections whose destination was translated.
func Translated(yes bool) Part {
	op, text := expr.CmpOpNeq, "ct status dnat"
	if !yes {
		op, text = expr.CmpOpEq, "ct status ! dnat"
	}
	return Part{text, []expr.Any{&expr.Ct{Key: expr.CtKeySTATUS, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: native32(ipsDNAT), Xor: native32(0)},
		&expr.Cmp{Op: op, Register: 1, Data: native32(0)}}}
}

func verdict(text string, kind expr.VerdictKind, chain string) Part {
	if chain != "" {
		text += " " + chain
	}
	return Part{text, []expr.Any{&expr.Verdict{Kind: kind, Chain: chain}}}
}

// Verdicts.
var (
	Accept = verdict("accept", expr.VerdictAccept, "")
	Drop   = verdict("drop", expr.VerdictDrop, "")
	Return = verdict("return", expr.VerdictReturn, "")
)

// Jump calls a chain.
func Jump(chain string) Part { return verdict("jump", expr.VerdictJump, chain) }

// GotoChain goes to a chain and does not come back.
func GotoChain(chain string) Part { return verdict("goto", expr.VerdictGoto, chain) }

// translate is dnat or snat to the address in register 1.
func translate(kind expr.NATType, random bool) expr.Any {
	return &expr.NAT{Type: kind, Family: unix.NFPROTO_IPV4, RegAddrMin: 1, FullyRandom: random}
}

// SNAT translates the source to an IPv4 address, with unpredictable ports.
func SNAT(a netip.Addr) Part {
	return Part{"snat to " + a.String() + " fully-random", []expr.Any{
		&expr.Immediate{Register: 1, Data: a.AsSlice()}, translate(expr.NATTypeSourceNAT, true)}}
}

// SNATFrom translates the source to what a map has for it; where it has nothing
// the rule ends.
func SNATFrom(m string) Part {
	return Part{"snat to ip saddr map @" + m, natFrom(m, IPSaddr, expr.NATTypeSourceNAT)}
}

// DNATFrom translates the destination to what a map has for it; where it has
// nothing the rule ends.
func DNATFrom(m string) Part {
	return Part{"dnat to ip daddr map @" + m, natFrom(m, IPDaddr, expr.NATTypeDestNAT)}
}

// DNATPortFrom translates the destination and its port to what two maps have for
// the destination, the protocol and the port; where they have nothing the rule ends.
func DNATPortFrom(addresses, ports string) Part {
	text, key := load([]Field{IPDaddr, L4Proto, DPort})
	look := func(m string, reg uint32) []expr.Any {
		return append(slices.Clone(key), &expr.Lookup{SourceRegister: firstReg, DestRegister: reg, IsDestRegSet: true, SetName: m})
	}
	exprs := append(look(addresses, 2), look(ports, 3)...)
	return Part{"dnat to " + text + " map @" + addresses + " : " + text + " map @" + ports,
		append(exprs, &expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 2, RegProtoMin: 3})}
}

// SetHelper gives a connection a helper of the table.
func SetHelper(name string) Part {
	return Part{fmt.Sprintf("ct helper set %q", name), []expr.Any{&expr.Objref{Type: unix.NFT_OBJECT_CT_HELPER, Name: name}}}
}

func natFrom(m string, f Field, kind expr.NATType) []expr.Any {
	return []expr.Any{f.load(1), &expr.Lookup{SourceRegister: 1, DestRegister: 1, IsDestRegSet: true, SetName: m}, translate(kind, false)}
}

// Redirect sends a connection to a port of this host.
func Redirect(port int) Part {
	b := binary.BigEndian.AppendUint16(nil, uint16(port))
	return Part{fmt.Sprintf("redirect to :%d", port), []expr.Any{&expr.Immediate{Register: 1, Data: b}, &expr.Redir{RegisterProtoMin: 1}}}
}

// BytesOver matches what goes beyond a rate, in bytes a second, once a bucket of
// the burst and of what the rate gives in a second is empty.
func BytesOver(rate uint64, burst uint32) Part {
	return Part{fmt.Sprintf("limit rate over %d bytes/second burst %d bytes", rate, burst), []expr.Any{
		&expr.Limit{Type: expr.LimitTypePktBytes, Rate: rate, Unit: expr.LimitTimeSecond, Burst: burst, Over: true}}}
}

// PacketsOver matches what goes beyond a rate, in packets a second, once a bucket
// of the burst is empty.
func PacketsOver(rate uint64, burst uint32) Part {
	return Part{fmt.Sprintf("limit rate over %d/second burst %d packets", rate, burst), []expr.Any{
		&expr.Limit{Type: expr.LimitTypePkts, Rate: rate, Unit: expr.LimitTimeSecond, Burst: burst, Over: true}}}
}

// SetDSCP4 writes the DSCP of an IPv4 packet.
func SetDSCP4(dscp uint8) Part {
	return setDSCP(fmt.Sprintf("ip dscp set %d", dscp), [2]byte{0xff, 0x03}, [2]byte{0, dscp << 2}, expr.Payload{CsumType: expr.CsumTypeInet, CsumOffset: 10})
}

// SetDSCP6 writes the DSCP of an IPv6 packet.
func SetDSCP6(dscp uint8) Part {
	return setDSCP(fmt.Sprintf("ip6 dscp set %d", dscp), [2]byte{0xf0, 0x3f}, [2]byte{dscp >> 2, dscp << 6}, expr.Payload{})
}

// setDSCP rewrites the first two bytes of the network header.
func setDSCP(text string, keep, set [2]byte, write expr.Payload) Part {
	write.OperationType, write.SourceRegister, write.Base, write.Len = expr.PayloadWrite, 1, expr.PayloadBaseNetworkHeader, 2
	return Part{text, []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Len: 2},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 2, Mask: keep[:], Xor: set[:]},
		&write}}
}
