package dhcp

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/insomniacslk/dhcp/rfc1035label"

	"github.com/weftnet/weft"
)

// codeNextServer is dnsmasq's own number for what is no option at all but the
// siaddr field of the header.
const codeNextServer = 255

// kind is how the value of an option is written.
type kind int

const (
	guessed kind = iota // by the look of the value
	addresses
	text
	number8
	number16
	number32
	names
	routes
	sip
)

// option is one option as dnsmasq knows it.
type option struct {
	code uint8
	kind kind
}

// optionNames are the names that users may give in extra_dhcp_opts; "dnsmasq
// --help dhcp" prints them. A function, so that nobody can change the table.
func optionNames() map[string]option {
	return map[string]option{
		"netmask":                  {1, addresses},
		"time-offset":              {2, number32},
		"router":                   {3, addresses},
		"dns-server":               {6, addresses},
		"log-server":               {7, addresses},
		"lpr-server":               {9, addresses},
		"hostname":                 {12, text},
		"boot-file-size":           {13, number16},
		"domain-name":              {15, text},
		"swap-server":              {16, addresses},
		"root-path":                {17, text},
		"extension-path":           {18, text},
		"ip-forward-enable":        {19, number8},
		"non-local-source-routing": {20, number8},
		"policy-filter":            {21, addresses},
		"max-datagram-reassembly":  {22, number16},
		"default-ttl":              {23, number8},
		"mtu":                      {26, number16},
		"all-subnets-local":        {27, number8},
		"broadcast":                {28, addresses},
		"router-discovery":         {31, number8},
		"router-solicitation":      {32, addresses},
		"static-route":             {33, addresses},
		"trailer-encapsulation":    {34, number8},
		"arp-timeout":              {35, number32},
		"ethernet-encap":           {36, number8},
		"tcp-ttl":                  {37, number8},
		"tcp-keepalive":            {38, number32},
		"nis-domain":               {40, text},
		"nis-server":               {41, addresses},
		"ntp-server":               {42, addresses},
		"vendor-encap":             {43, guessed},
		"netbios-ns":               {44, addresses},
		"netbios-dd":               {45, addresses},
		"netbios-nodetype":         {46, number8},
		"netbios-scope":            {47, text},
		"x-windows-fs":             {48, addresses},
		"x-windows-dm":             {49, addresses},
		"lease-time":               {51, number32},
		"server-identifier":        {54, addresses},
		"T1":                       {58, number32},
		"T2":                       {59, number32},
		"vendor-class":             {60, text},
		"nis+-domain":              {64, text},
		"nis+-server":              {65, addresses},
		"tftp-server":              {66, text},
		"bootfile-name":            {67, text},
		"mobile-ip-home":           {68, addresses},
		"smtp-server":              {69, addresses},
		"pop3-server":              {70, addresses},
		"nntp-server":              {71, addresses},
		"irc-server":               {74, addresses},
		"user-class":               {77, text},
		"client-arch":              {93, number16},
		"posix-timezone":           {100, text},
		"tzdb-timezone":            {101, text},
		"ipv6-only":                {108, number32},
		"domain-search":            {119, names},
		"sip-server":               {120, sip},
		"classless-static-route":   {121, routes},
		"vendor-id-encap":          {125, guessed},
		"tftp-server-address":      {150, addresses},
		"server-ip-address":        {codeNextServer, addresses},
	}
}

// optionTable finds options by the names and numbers users write.
type optionTable struct {
	byName map[string]option
	byCode map[uint8]option
}

func newOptionTable() optionTable {
	t := optionTable{byName: optionNames(), byCode: map[uint8]option{}}
	for _, o := range t.byName {
		if o.code != codeNextServer {
			t.byCode[o.code] = o
		}
	}
	return t
}

// lookup resolves "bootfile-name", "67" or "option:67".
func (t optionTable) lookup(name string) (option, error) {
	name = strings.TrimPrefix(name, "option:")
	if o, ok := t.byName[name]; ok {
		return o, nil
	}
	n, err := strconv.ParseUint(name, 10, 8)
	if err != nil || n == 0 {
		return option{}, fmt.Errorf("no DHCP option is named %q", name)
	}
	if n == codeNextServer {
		return t.byName["server-ip-address"], nil
	}
	if o, ok := t.byCode[uint8(n)]; ok {
		return o, nil
	}
	return option{code: uint8(n)}, nil
}

// protected reports whether an option belongs to the protocol itself, so that a
// user cannot be let to set it.
func protected(code uint8) bool {
	switch code {
	case 0, 50, 51, 52, 53, 54, 55, 56, 57, 61, 81, 82:
		return true
	}
	return false
}

// extra is a port's own option, ready for the wire.
type extra struct {
	code      uint8
	value     []byte   // empty: the option is not to be sent
	addresses bool     // value is IPv4 addresses, of which 0.0.0.0 is the server's own
	tags      []string // that a client must have to be sent it, or with ! before it must not
}

// extras encodes the IPv4 options of a port. One that cannot be encoded is left
// out and named in the errors: the port's address must not depend on it.
func (t optionTable) extras(opts []weft.ExtraDHCPOpt) (out []extra, errs []error) {
	for _, o := range opts {
		if o.IPVersion != 4 && o.IPVersion != 0 {
			continue
		}
		e, err := t.extra(o.Name, string(o.Value))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out = append(out, e)
	}
	return out, errs
}

// extra encodes one option. Its name may have tags before it, as Ironic's
// "tag:!ipxe,67" has.
func (t optionTable) extra(name, value string) (extra, error) {
	tags, bare := cutTags(name)
	o, err := t.lookup(bare)
	if err != nil {
		return extra{}, err
	}
	if protected(o.code) {
		return extra{}, fmt.Errorf("DHCP option %q is the server's own", name)
	}
	e := extra{code: o.code, tags: tags, addresses: o.kind == addresses}
	if value == "" {
		return e, nil
	}
	if o.kind == guessed {
		_, err := encodeAddresses(value)
		e.addresses = err == nil
	}
	if e.value, err = encode(o.kind, value); err != nil {
		return extra{}, fmt.Errorf("DHCP option %q: %w", name, err)
	}
	return e, nil
}

func cutTags(name string) (tags []string, rest string) {
	for {
		tag, after, ok := strings.Cut(name, ",")
		tag, is := strings.CutPrefix(tag, "tag:")
		if !ok || !is {
			return tags, name
		}
		tags, name = append(tags, tag), after
	}
}

// meant reports whether the option is for a client with these tags.
func (e extra) meant(has []string) bool {
	for _, tag := range e.tags {
		tag, not := strings.CutPrefix(tag, "!")
		if slices.Contains(has, tag) == not {
			return false
		}
	}
	return true
}

// from is the value as a server with this address sends it.
func (e extra) from(server netip.Addr) []byte {
	if !e.addresses {
		return e.value
	}
	own := server.As4()
	var out []byte
	for a := range slices.Chunk(e.value, 4) {
		if binary.BigEndian.Uint32(a) == 0 {
			a = own[:]
		}
		out = append(out, a...)
	}
	return out
}

func encode(k kind, value string) ([]byte, error) {
	switch k {
	case addresses:
		return encodeAddresses(value)
	case text:
		return []byte(strings.Trim(value, `"`)), nil
	case number8:
		return encodeNumber(value, 1)
	case number16:
		return encodeNumber(value, 2)
	case number32:
		return encodeNumber(value, 4)
	case names:
		return (&rfc1035label.Labels{Labels: splitList(value)}).ToBytes(), nil
	case routes:
		return encodeDescriptors(value)
	case sip:
		b, err := encodeAddresses(value)
		return append([]byte{sipAddresses}, b...), err
	}
	return guess(value)
}

// sipAddresses says that addresses follow, not names (RFC 3361).
const sipAddresses = 1

// guess follows dnsmasq's reading of a value for an option it does not know:
// addresses, with or without prefix lengths, a number in as few bytes as hold it, bytes as aa:bb:cc, or text.
func guess(value string) ([]byte, error) {
	if b, err := encodeDescriptors(value); err == nil {
		return b, nil
	}
	if n, err := strconv.ParseUint(value, 10, 32); err == nil {
		return encodeNumber(value, sizeOf(n))
	}
	if strings.Contains(value, ":") {
		if b, err := hex.DecodeString(strings.ReplaceAll(value, ":", "")); err == nil {
			return b, nil
		}
	}
	return []byte(strings.Trim(value, `"`)), nil
}

func sizeOf(n uint64) int {
	switch {
	case n < 1<<8:
		return 1
	case n < 1<<16:
		return 2
	}
	return 4
}

func splitList(value string) []string {
	parts := strings.Split(value, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

func encodeAddresses(value string) ([]byte, error) {
	var b []byte
	for _, s := range splitList(value) {
		a, err := netip.ParseAddr(s)
		if err != nil || !a.Is4() {
			return nil, fmt.Errorf("%q is not an IPv4 address", s)
		}
		b = append(b, a.AsSlice()...)
	}
	return b, nil
}

func encodeNumber(value string, size int) ([]byte, error) {
	n, err := strconv.ParseUint(value, 0, size*8)
	if err != nil {
		return nil, fmt.Errorf("%q is not a number of %d bytes", value, size)
	}
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	return b[8-size:], nil
}

// encodeDescriptors writes addresses, and prefixes as RFC 3442 has them.
func encodeDescriptors(value string) ([]byte, error) {
	var b []byte
	for _, s := range splitList(value) {
		if a, err := netip.ParseAddr(s); err == nil && a.Is4() {
			b = append(b, a.AsSlice()...)
			continue
		}
		p, err := netip.ParsePrefix(s)
		if err != nil || !p.Addr().Is4() {
			return nil, fmt.Errorf("%q is neither an IPv4 address nor a prefix", s)
		}
		b = append(b, descriptor(p)...)
	}
	return b, nil
}

// descriptor is a prefix's length and its significant bytes.
func descriptor(p netip.Prefix) []byte {
	return append([]byte{byte(p.Bits())}, p.Masked().Addr().AsSlice()[:(p.Bits()+7)/8]...)
}
