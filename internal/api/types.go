package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/weftnet/weft"
)

// Type converts a JSON value to its canonical form and says whether it is valid.
// As in Neutron, what cannot be converted is InvalidInput, and what is converted
// but not valid is HTTPBadRequest "Invalid input for ATTR. Reason: ...".
type Type struct {
	Convert  func(v any) (any, error)    // nil: as it is
	Validate func(v any) (reason string) // nil: anything
	Name     string                      // for the API reference: "boolean"
	Schema   map[string]any              // JSON schema; nil: that of the name
	Nullable bool                        // null is valid, too

	// Items is the length of the longest list, also of one within; a type without it
	// takes no lists. Longer ones are refused before anybody looks into them.
	Items int
}

// The longest lists where neither Neutron nor an option has a limit of its own. Those
// that have one are checked again by who knows it, and refused in Neutron's words.
const (
	maxAddresses  = 256 // fixed_ips
	maxOptions    = weft.MaxExtraDHCPOpts
	maxGroups     = 1000 // security_groups
	maxGateways   = 100  // external_gateways, each of which is a port
	maxZones      = 100  // availability_zone_hints
	maxSubPorts   = 4094 // one for each VLAN
	maxPrefixes   = 1000 // of pools and address groups, in one request
	maxConfigured = 1000 // the largest value of the options that limit lists
	maxFew        = 100  // lists that hold a handful: segments, service types, service profiles
	maxTags       = 50
	maxMembers    = 1000 // of an object
)

// accept converts and validates a value. A value that is too large, or a list for a
// type that takes none, goes no further than here.
func (t Type) accept(v any) (_ any, reason string, err error) {
	if reason := t.oversize(v); reason != "" {
		return nil, reason, nil
	}
	if t.Convert != nil {
		if v, err = t.Convert(v); err != nil {
			return nil, "", err
		}
	}
	if t.Validate != nil {
		if reason := t.Validate(v); reason != "" {
			return nil, reason, nil
		}
	}
	if list, ok := v.([]any); ok && t.Items == 0 {
		return nil, fmt.Sprintf("'%s' is a list", py(list)), nil
	}
	return v, "", nil
}

// oversize says which list or object of a value has more members than the type takes.
func (t Type) oversize(v any) string {
	switch x := v.(type) {
	case []any:
		if t.Items > 0 && len(x) > t.Items {
			return fmt.Sprintf("List of %d items exceeds maximum length of %d", len(x), t.Items)
		}
		for _, e := range x {
			if reason := t.oversize(e); reason != "" {
				return reason
			}
		}
	case map[string]any:
		if len(x) > maxMembers {
			return fmt.Sprintf("Dictionary of %d keys exceeds maximum length of %d", len(x), maxMembers)
		}
		for _, e := range x {
			if reason := t.oversize(e); reason != "" {
				return reason
			}
		}
	}
	return ""
}

var anyType = Type{Name: "any"}

// or null: null is valid whatever the type says.
func (t Type) orNull() Type {
	inner := t
	t.Nullable = true
	if inner.Convert != nil {
		t.Convert = func(v any) (any, error) {
			if v == nil {
				return nil, nil
			}
			return inner.Convert(v)
		}
	}
	if inner.Validate != nil {
		t.Validate = func(v any) string {
			if v == nil {
				return ""
			}
			return inner.Validate(v)
		}
	}
	return t
}

func text(limit int) Type {
	return Type{Name: "string", Schema: map[string]any{"type": "string", "maxLength": limit}, Validate: func(v any) string {
		s, ok := v.(string)
		if !ok {
			return fmt.Sprintf("'%s' is not a valid string", py(v))
		}
		if utf8.RuneCountInString(s) > limit {
			return fmt.Sprintf("'%s' exceeds maximum length of %d", weft.Excerpt(s), limit)
		}
		if strings.ContainsRune(s, 0) {
			return fmt.Sprintf("'%s' is not a valid string", weft.Excerpt(strings.ReplaceAll(s, "\x00", `\x00`)))
		}
		return ""
	}}
}

func nonEmptyText(limit int) Type {
	t := text(limit)
	inner := t.Validate
	t.Validate = func(v any) string {
		if reason := inner(v); reason != "" {
			return reason
		}
		if strings.TrimSpace(v.(string)) == "" {
			return fmt.Sprintf("'%s' Blank strings are not permitted", py(v))
		}
		return ""
	}
	return t
}

// oneLine refuses texts of several lines.
func oneLine(t Type) Type {
	inner := t.Validate
	t.Validate = func(v any) string {
		if reason := inner(v); reason != "" {
			return reason
		}
		if strings.ContainsAny(v.(string), "\n\r\v\f\x1c\x1d\x1e\u0085\u2028\u2029") { // where Python ends lines
			return fmt.Sprintf("Multi-line string is not allowed: '%s'", v)
		}
		return ""
	}
	return t
}

var boolean = Type{Name: "boolean", Convert: func(v any) (any, error) {
	switch x := v.(type) {
	case bool:
		return x, nil
	case string:
		switch strings.ToLower(x) {
		case "true", "1":
			return true, nil
		case "false", "0":
			return false, nil
		}
	case json.Number:
		switch x.String() {
		case "0":
			return false, nil
		case "1":
			return true, nil
		}
	}
	return nil, weft.Invalid("'%s' cannot be converted to boolean", py(v))
}}

func toInt(v any) (any, error) {
	switch x := v.(type) {
	case json.Number:
		if n, err := strconv.ParseInt(x.String(), 10, 64); err == nil {
			return n, nil
		}
		// Like Python's int, which leaves out what comes after the point.
		if f, err := x.Float64(); err == nil && math.Abs(f) < 1<<53 {
			return int64(f), nil
		}
	case string:
		if n, err := strconv.ParseInt(strings.TrimSpace(x), 10, 64); err == nil {
			return n, nil
		}
	case int64:
		return x, nil
	case bool:
		return int64(map[bool]int{true: 1}[x]), nil
	}
	return nil, weft.Invalid("'%s' is not an integer", py(v))
}

func integer() Type {
	return Type{Name: "integer", Convert: toInt, Validate: bounds(math.MinInt32, math.MaxInt32)}
}

func bounds(lo, hi int64) func(any) string {
	return func(v any) string {
		n, ok := v.(int64)
		switch {
		case !ok:
			return fmt.Sprintf("'%s' is not an integer", py(v))
		case n < lo:
			return fmt.Sprintf("'%d' is too small - must be at least '%d'", n, lo)
		case n > hi:
			return fmt.Sprintf("'%d' is too large - must be no larger than '%d'", n, hi)
		}
		return ""
	}
}

func between(lo, hi int64) Type {
	return Type{Name: "integer", Convert: toInt, Validate: bounds(lo, hi), Schema: map[string]any{"type": "integer", "minimum": lo, "maximum": hi}}
}

var nonNegative = Type{Name: "integer", Schema: map[string]any{"type": "integer", "minimum": 0}, Convert: toInt, Validate: func(v any) string {
	n, ok := v.(int64)
	switch {
	case !ok:
		return fmt.Sprintf("'%s' is not an integer", py(v))
	case n < 0:
		return fmt.Sprintf("'%d' should be non-negative", n)
	case n > math.MaxInt32:
		return fmt.Sprintf("'%d' is too large - must be no larger than '%d'", n, math.MaxInt32)
	}
	return ""
}}

func oneOf(values ...string) Type {
	return Type{Name: "string", Schema: map[string]any{"type": "string", "enum": toAny(values)}, Validate: func(v any) string {
		s, ok := v.(string)
		if ok {
			for _, x := range values {
				if x == s {
					return ""
				}
			}
		}
		return fmt.Sprintf("%s is not in valid_values", py(v))
	}}
}

func oneOfInt(values ...int64) Type {
	return Type{Name: "integer", Schema: map[string]any{"type": "integer", "enum": toAny(values)}, Convert: toInt, Validate: func(v any) string {
		if n, ok := v.(int64); ok && slices.Contains(values, n) {
			return ""
		}
		return fmt.Sprintf("%s is not in valid_values", py(v))
	}}
}

func toAny[T any](values []T) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = v
	}
	return out
}

func validUUID(v any) bool {
	s, ok := v.(string)
	if !ok || len(s) != 36 && len(s) != 32 {
		return false
	}
	_, err := uuid.Parse(s)
	return err == nil
}

var uuidType = Type{Name: "uuid", Validate: func(v any) string {
	if !validUUID(v) {
		return fmt.Sprintf("'%s' is not a valid UUID", py(v))
	}
	return ""
}}

var uuidList = Type{Name: "list of uuids", Items: maxGroups, Convert: nullToList, Validate: func(v any) string {
	list, ok := v.([]any)
	if !ok {
		return fmt.Sprintf("'%s' is not a list", py(v))
	}
	seen := map[any]bool{}
	for _, x := range list {
		if !validUUID(x) {
			return fmt.Sprintf("'%s' is not a valid UUID", py(x))
		}
		if seen[x] {
			return fmt.Sprintf("Duplicate items in the list: '%s'", py(x))
		}
		seen[x] = true
	}
	return ""
}}

// uniqueTexts is a textList without duplicates.
func uniqueTexts(limit, items int) Type {
	t := textList(limit, items)
	inner := t.Validate
	t.Validate = func(v any) string {
		if reason := inner(v); reason != "" {
			return reason
		}
		seen := map[any]bool{}
		for _, x := range v.([]any) {
			if seen[x] {
				return fmt.Sprintf("Duplicate items in the list: '%s'", py(x))
			}
			seen[x] = true
		}
		return ""
	}
	return t
}

func textList(limit, items int) Type {
	one := text(limit)
	return Type{Name: "list of strings", Items: items, Convert: nullToList, Validate: func(v any) string {
		list, ok := v.([]any)
		if !ok {
			return fmt.Sprintf("'%s' is not a list", py(v))
		}
		for _, x := range list {
			if reason := one.Validate(x); reason != "" {
				return reason
			}
		}
		return ""
	}}
}

func nullToList(v any) (any, error) {
	if v == nil {
		return []any{}, nil
	}
	return v, nil
}

var dict = Type{Name: "object", Items: maxMembers, Convert: func(v any) (any, error) {
	if v == nil || v == "" {
		return map[string]any{}, nil
	}
	return v, nil
}, Validate: func(v any) string {
	if _, ok := v.(map[string]any); !ok {
		return fmt.Sprintf("'%s' is not a dictionary", py(v))
	}
	return ""
}}

var broadcast = weft.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// mac is an address that a port can have. Neutron lets that be one of a group too,
// only not everybody's.
var mac = Type{Name: "MAC address", Validate: func(v any) string {
	s, ok := v.(string)
	if ok {
		if m, err := weft.ParseMAC(s); err == nil && !m.IsZero() && m != broadcast {
			return ""
		}
	}
	return fmt.Sprintf("'%s' is not a valid MAC address", py(v))
}, Convert: func(v any) (any, error) {
	if s, ok := v.(string); ok {
		if m, err := weft.ParseMAC(s); err == nil {
			return m.String(), nil
		}
	}
	return v, nil
}}

var ipAddress = Type{Name: "IP address", Validate: func(v any) string {
	return notIP(v)
}, Convert: func(v any) (any, error) {
	if a, ok := parseIP(v); ok {
		return a.String(), nil
	}
	return v, nil
}}

// notIP says why a value is no IP address.
func notIP(v any) string {
	if _, ok := parseIP(v); ok {
		return ""
	}
	if s, ok := v.(string); ok {
		if a, ok := parseIP(zeroes.ReplaceAllString(s, "$1")); ok && a.Is4() {
			return fmt.Sprintf("'%s' is not an accepted IP address, '%s' is recommended", py(s), a)
		}
	}
	return fmt.Sprintf("'%s' is not a valid IP address", py(v))
}

// zeroes are those before a number, which some take for the sign of an octal one.
var zeroes = regexp.MustCompile(`\b0+(\d)`)

func parseIP(v any) (netip.Addr, bool) {
	s, ok := v.(string)
	if !ok {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" || a.Is4In6() {
		return netip.Addr{}, false
	}
	return a, true
}

// cidr is a prefix whose host bits are cleared.
var cidr = Type{Name: "CIDR", Convert: func(v any) (any, error) {
	if p, ok := parsePrefix(v); ok {
		return p.Masked().String(), nil
	}
	return v, nil
}, Validate: func(v any) string {
	if _, ok := parsePrefix(v); !ok {
		return fmt.Sprintf("'%s' is not a valid IP subnet", py(v))
	}
	return ""
}}

func parsePrefix(v any) (netip.Prefix, bool) {
	s, ok := v.(string)
	if !ok {
		return netip.Prefix{}, false
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().Is4In6() {
		return netip.Prefix{}, false
	}
	return p, true
}

// listOf is a list whose elements each passes check; the reason names the whole
// element where check says only what is wrong.
func listOf(name, what string, items int, check func(v any) string) Type {
	return Type{Name: name, Items: items, Convert: nullToList, Validate: func(v any) string {
		list, ok := v.([]any)
		if s, text := v.(string); text && what == "nameserver" { // to Python a string is a list too
			for _, c := range s {
				return check(string(c))
			}
		}
		if !ok {
			return fmt.Sprintf("Invalid data format for %s: '%s'", what, py(v))
		}
		seen := map[string]bool{}
		for _, x := range list {
			if reason := check(x); reason != "" {
				return reason
			}
			if key := pyRepr(x); seen[key] {
				return fmt.Sprintf("Duplicate %s '%s'", what, py(x))
			} else {
				seen[key] = true
			}
		}
		return ""
	}}
}

// subnetList is a list of prefixes, with their lengths.
var subnetList = Type{Name: "list of CIDRs", Items: maxPrefixes, Convert: nullToList, Validate: func(v any) string {
	list, ok := v.([]any)
	if !ok {
		return fmt.Sprintf("'%s' is not a list", py(v))
	}
	if twice := duplicates(list); len(twice) > 0 {
		return fmt.Sprintf("Duplicate items in the list: '%s'", weft.Excerpt(strings.Join(twice, ", ")))
	}
	for _, x := range list {
		if a, ok := parseIP(x); ok {
			return fmt.Sprintf("'%s' isn't a recognized IP subnet cidr, '%s' is recommended", py(x), netip.PrefixFrom(a, a.BitLen()))
		}
		if reason := cidr.Validate(x); reason != "" {
			return reason
		}
	}
	return ""
}}

// duplicates are the texts of what a list has more than once.
func duplicates(list []any) []string {
	seen := map[string]int{}
	var twice []string
	for _, x := range list {
		key := pyRepr(x)
		if seen[key]++; seen[key] == 2 {
			twice = append(twice, py(x))
		}
	}
	return twice
}

var nameservers = listOf("list of IP addresses", "nameserver", maxConfigured, func(v any) string {
	if _, ok := parseIP(v); !ok {
		return fmt.Sprintf("'%s' is not a valid nameserver. '%s' is not a valid IP address", py(v), py(v))
	}
	return ""
})

var hostRoutes = listOf("list of routes", "hostroute", maxConfigured, func(v any) string {
	m, reason := keys(v, "destination", "nexthop")
	if reason != "" {
		return reason
	}
	if reason := routeCIDR(m["destination"]); reason != "" {
		return reason
	}
	return ipAddress.Validate(m["nexthop"])
})

// routeCIDR says why a value cannot be the destination of a route.
func routeCIDR(v any) string {
	if a, ok := parseIP(v); ok {
		return fmt.Sprintf("'%s' is not a recognized CIDR, '%s' is recommended", a, netip.PrefixFrom(a, a.BitLen()))
	}
	p, ok := parsePrefix(v)
	switch {
	case !ok:
		return fmt.Sprintf("'%s' is not a valid CIDR", py(v))
	case p.Masked() != p:
		return fmt.Sprintf("'%s' is not a recognized CIDR, '%s' is recommended", py(v), p.Masked())
	case p.Addr().IsLoopback():
		return fmt.Sprintf("'%s' is not a routable CIDR", py(v))
	}
	return ""
}

var ipPools = notNull(listOf("list of allocation pools", "IP pool", maxConfigured, func(v any) string {
	m, reason := keys(v, "start", "end")
	if reason != "" {
		return reason
	}
	for _, k := range []string{"start", "end"} {
		if reason := ipAddress.Validate(m[k]); reason != "" {
			return reason
		}
	}
	return ""
}))

// notNull takes away the meaning of null as the empty list.
func notNull(t Type) Type {
	t.Convert = nil
	return t
}

// keys checks that v is an object with exactly these keys.
func keys(v any, want ...string) (map[string]any, string) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Sprintf("Invalid input. '%s' must be a dictionary with keys: %s", py(v), pyRepr(toAny(want)))
	}
	got := make([]string, 0, len(m))
	for k := range m {
		got = append(got, k)
	}
	sort.Strings(got)
	sorted := append([]string(nil), want...)
	sort.Strings(sorted)
	if strings.Join(got, ",") != strings.Join(sorted, ",") {
		return nil, fmt.Sprintf("Validation of dictionary's keys failed. Expected keys: %s Provided keys: %s", pySet(want), pySet(got))
	}
	return m, ""
}

var fixedIPs = Type{Name: "list of fixed IPs", Items: maxAddresses, Validate: func(v any) string {
	list, ok := v.([]any)
	if !ok {
		return fmt.Sprintf("Invalid data format for fixed IP: '%s'", py(v))
	}
	seen := map[netip.Addr]bool{}
	for _, x := range list {
		if reason := fixedIP(x, seen); reason != "" {
			return reason
		}
	}
	return ""
}}

func fixedIP(v any, seen map[netip.Addr]bool) string {
	m, ok := v.(map[string]any)
	if !ok {
		return fmt.Sprintf("Invalid data format for fixed IP: '%s'", py(v))
	}
	for k, x := range m {
		switch k {
		case "ip_address":
			a, ok := parseIP(x)
			if !ok {
				return notIP(x)
			}
			if seen[a] {
				return fmt.Sprintf("Duplicate IP address '%s'", a)
			}
			seen[a] = true
		case "subnet_id":
			if reason := uuidType.Validate(x); reason != "" {
				return reason
			}
		}
	}
	return ""
}

// py is a value as Python's str() prints it, which is what Neutron's messages show.
// Of long ones it is the beginning.
func py(v any) string {
	if s, ok := v.(string); ok {
		return weft.Excerpt(s)
	}
	return weft.Excerpt(pyRepr(v))
}

// pySet is a set of strings as Python prints it, but for its order, which is none.
func pySet(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = "'" + n + "'"
	}
	return weft.Excerpt("{" + strings.Join(quoted, ", ") + "}")
}

// pyRepr is a value as Python's repr() prints it, whole.
func pyRepr(v any) string { return string(appendRepr(nil, v)) }

func appendRepr(b []byte, v any) []byte {
	switch x := v.(type) {
	case nil:
		return append(b, "None"...)
	case bool:
		if x {
			return append(b, "True"...)
		}
		return append(b, "False"...)
	case string:
		return append(append(append(b, '\''), x...), '\'')
	case []any:
		b = append(b, '[')
		for i, e := range x {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = appendRepr(b, e)
		}
		return append(b, ']')
	case map[string]any:
		b = append(b, '{')
		for i, k := range slices.Sorted(maps.Keys(x)) {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = appendRepr(append(appendRepr(b, k), ": "...), x[k])
		}
		return append(b, '}')
	}
	return fmt.Append(b, v)
}
