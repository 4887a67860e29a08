package nft

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"net/netip"
	"sort"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"github.com/weftnet/weft"
)

// Families of tables.
const (
	Inet   = nftables.TableFamilyINet
	IP     = nftables.TableFamilyIPv4
	IP6    = nftables.TableFamilyIPv6
	Bridge = nftables.TableFamilyBridge
)

// Table is what one table must be. Names of chains and sets are unique in it.
type Table struct {
	Family  nftables.TableFamily
	Name    string
	Helpers []Helper
	Sets    []Set
	Chains  []Chain // a chain comes after those it jumps to only in text; the order is free
}

// Helper is a connection tracking helper of the kernel, for both families in a table
// Inet.
type Helper struct {
	Name     string // in the table; it has to tell helpers of other kinds apart
	Type     string // in the kernel: "ftp"
	Protocol int
}

func (h Helper) String() string {
	return fmt.Sprintf("ct helper %s { type %q protocol %d }", h.Name, h.Type, h.Protocol)
}

// Chain is a list of rules; a nil Hook makes it one to jump to.
type Chain struct {
	Name  string
	Hook  *Hook
	Rules []Rule
}

// Hook is where a base chain is called, with policy accept.
type Hook struct {
	Type     nftables.ChainType // nftables.ChainTypeFilter, ChainTypeNAT
	Num      *nftables.ChainHook
	Priority int32
}

// Rule is a sequence of matches and statements.
type Rule []Part

// Part is one match or statement of a rule.
type Part struct {
	text  string
	exprs []expr.Any
}

func (p Part) String() string { return p.text }

func (r Rule) String() string {
	parts := make([]string, len(r))
	for i, p := range r {
		parts[i] = p.text
	}
	return strings.Join(parts, " ")
}

func (r Rule) exprs() []expr.Any {
	var out []expr.Any
	for _, p := range r {
		out = append(out, p.exprs...)
	}
	return out
}

// Kind is the type of a component of a set's keys, or of a map's values.
type Kind int

// The kinds.
const (
	IfName Kind = iota
	Ether
	IPv4
	IPv6
	Mark
	Verdict
	Protocol // of layer 4
	Service  // a port

	other // no type of sets
)

func (k Kind) datatype() nftables.SetDatatype {
	return [...]nftables.SetDatatype{nftables.TypeIFName, nftables.TypeEtherAddr, nftables.TypeIPAddr, nftables.TypeIP6Addr, nftables.TypeMark, nftables.TypeVerdict,
		nftables.TypeInetProto, nftables.TypeInetService}[k]
}

func (k Kind) String() string {
	return [...]string{"ifname", "ether_addr", "ipv4_addr", "ipv6_addr", "mark", "verdict", "inet_proto", "inet_service"}[k]
}

// Set is a set, or a map if it has a Value.
type Set struct {
	Name     string
	Key      []Kind
	Value    *Kind // maps only
	Elements []Element
}

// Element is a member of a set: as many parts as the key has, and the value in
// maps. Elements are told apart by their text.
type Element struct {
	Key   []Datum
	Value *Datum
}

func (e Element) key() string {
	parts := make([]string, len(e.Key))
	for i, d := range e.Key {
		parts[i] = d.String()
	}
	return strings.Join(parts, " . ")
}

func (e Element) String() string {
	if e.Value == nil {
		return e.key()
	}
	return e.key() + " : " + e.Value.String()
}

// Datum is a constant. Its text is made when somebody asks: of the thousands in a
// table a change shows few.
type Datum struct {
	kind    Kind
	bytes   []byte
	verdict *expr.Verdict
	decimal string // a number in the words of its field
}

func (d Datum) String() string {
	switch {
	case d.verdict != nil:
		return "goto " + d.verdict.Chain
	case d.decimal != "":
		return d.decimal
	}
	return d.kind.text(d.bytes)
}

// Name is an interface name.
func Name(s string) Datum {
	b := make([]byte, 16)
	copy(b, s)
	return Datum{kind: IfName, bytes: b}
}

// MAC is an Ethernet address.
func MAC(m weft.MAC) Datum { return Datum{kind: Ether, bytes: m[:]} }

// Addr is an IP address.
func Addr(a netip.Addr) Datum {
	if a.Is4() {
		return Datum{kind: IPv4, bytes: a.AsSlice()}
	}
	return Datum{kind: IPv6, bytes: a.AsSlice()}
}

// Number is a mark.
func Number(n uint32) Datum { return Datum{kind: Mark, bytes: native32(n)} }

// Proto is a protocol of layer 4, by its IANA number.
func Proto(n int) Datum { return Datum{kind: Protocol, bytes: []byte{byte(n)}} }

// Port is a port.
func Port(n int) Datum {
	return Datum{kind: Service, bytes: binary.BigEndian.AppendUint16(nil, uint16(n))}
}

// Bytes is a constant as it is on the wire.
func Bytes(b ...byte) Datum { return Datum{kind: other, bytes: b} }

// Goto is the verdict that goes to a chain and does not come back.
func Goto(chain string) Datum {
	return Datum{kind: Verdict, verdict: &expr.Verdict{Kind: expr.VerdictGoto, Chain: chain}}
}

// String is the table as nft prints it, sets and their elements in order of name.
func (t Table) String() string {
	var b strings.Builder
	family := map[nftables.TableFamily]string{Inet: "inet", IP: "ip", IP6: "ip6", Bridge: "bridge"}[t.Family]
	fmt.Fprintf(&b, "table %s %s {\n", family, t.Name)
	for _, h := range t.Helpers {
		fmt.Fprintf(&b, "  %s\n", h)
	}
	for _, s := range t.Sets {
		s.write(&b)
	}
	for _, c := range t.Chains {
		fmt.Fprintf(&b, "  chain %s {\n", c.Name)
		if c.Hook != nil {
			fmt.Fprintf(&b, "    type %s hook %d priority %d\n", c.Hook.Type, *c.Hook.Num, c.Hook.Priority)
		}
		for _, r := range c.Rules {
			fmt.Fprintf(&b, "    %s\n", r)
		}
		b.WriteString("  }\n")
	}
	b.WriteString("}\n")
	return b.String()
}

// keyText is a key of the set, given as the kernel shows it.
func (s Set) keyText(b []byte) string {
	var parts []string
	for _, k := range s.Key {
		n := min(int(k.datatype().Bytes), len(b))
		parts = append(parts, k.text(b[:n]))
		b = b[min((n+3)/4*4, len(b)):]
	}
	return strings.Join(parts, " . ")
}

// text is a constant as nft shows it.
func (k Kind) text(b []byte) string {
	switch {
	case k == IfName:
		return `"` + string(bytes.TrimRight(b, "\x00")) + `"`
	case k == Ether && len(b) == 6:
		return weft.MAC(b).String()
	case k == IPv4 && len(b) == 4, k == IPv6 && len(b) == 16:
		a, _ := netip.AddrFromSlice(b)
		return a.String()
	case k == Protocol && len(b) == 1:
		return fmt.Sprint(b[0])
	case k == Service && len(b) == 2:
		return fmt.Sprint(binary.BigEndian.Uint16(b))
	case k == Mark && len(b) == 4:
		return fmt.Sprintf("0x%08x", binary.NativeEndian.Uint32(b))
	}
	return "0x" + hex.EncodeToString(b)
}

func (s Set) write(b *strings.Builder) {
	kinds := make([]string, len(s.Key))
	for i, k := range s.Key {
		kinds[i] = k.String()
	}
	what, typ := "set", strings.Join(kinds, " . ")
	if s.Value != nil {
		what, typ = "map", typ+" : "+s.Value.String()
	}
	fmt.Fprintf(b, "  %s %s {\n    type %s\n", what, s.Name, typ)
	lines := make([]string, len(s.Elements))
	for i, e := range s.Elements {
		lines[i] = e.String()
	}
	sort.Strings(lines)
	for _, l := range lines {
		fmt.Fprintf(b, "    %s\n", l)
	}
	b.WriteString("  }\n")
}

// hash is how a rule is known again: the text of the whole of it.
func (r Rule) hash() string {
	h := fnv.New64a()
	h.Write([]byte(r.String()))
	return "weft:" + hex.EncodeToString(h.Sum(nil))
}
