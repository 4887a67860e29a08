package config

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weftnet/weft"
)

// setter reads the text of an option into a configuration. The error says what is
// wrong with the text; the caller says which option it is.
type setter func(c *Config, text string) error

// read makes a setter of a parser and of the field that the value goes to.
func read[T any](field func(*Config) *T, parse func(string) (T, error)) setter {
	return func(c *Config, text string) error {
		v, err := parse(text)
		if err != nil {
			return err
		}
		*field(c) = v
		return nil
	}
}

func text(s string) (string, error) { return s, nil }

func number(low, high int) func(string) (int, error) {
	return func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err != nil {
			return 0, fmt.Errorf("%q is not a number", s)
		}
		if n < low || n > high {
			return 0, fmt.Errorf("%d is not within %d to %d", n, low, high)
		}
		return n, nil
	}
}

func days(s string) (time.Duration, error) {
	n, err := number(1, 3650)(s)
	return time.Duration(n) * 24 * time.Hour, err
}

func mebibytes(s string) (int64, error) {
	n, err := number(16, 1<<20)(s)
	return int64(n) << 20, err
}

func port(s string) (uint16, error) {
	n, err := number(0, 65535)(s)
	return uint16(n), err
}

func udpPort(s string) (uint16, error) {
	n, err := number(1, 65535)(s)
	return uint16(n), err
}

func boolean(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "true", "yes", "on", "1":
		return true, nil
	case "false", "no", "off", "0":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither true nor false", s)
}

// choice is one of a few words.
func choice[T any](values map[string]T) func(string) (T, error) {
	return func(s string) (T, error) {
		v, ok := values[strings.ToLower(s)]
		if !ok {
			words := make([]string, 0, len(values))
			for w := range values {
				words = append(words, w)
			}
			slices.Sort(words)
			return v, fmt.Errorf("%q is none of %s", s, strings.Join(words, ", "))
		}
		return v, nil
	}
}

// duration is a number of seconds, as in Neutron, or has a unit.
func duration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if n, nerr := strconv.ParseInt(s, 10, 32); nerr == nil {
		d, err = time.Duration(n)*time.Second, nil
	}
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is not a duration such as 75 or 75s", s)
	}
	return d, nil
}

// lease is a duration that DHCP can tell, or -1 for one without end.
func lease(s string) (time.Duration, error) {
	if s == "-1" {
		return -1, nil
	}
	d, err := duration(s)
	if err == nil && (d < time.Second || d >= math.MaxUint32*time.Second) {
		err = fmt.Errorf("%q is no time for a lease", s)
	}
	return d, err
}

// resolvers is a list of DNS servers, as dnsmasq takes them.
func resolvers(s string) (out []netip.AddrPort, err error) {
	parts, err := list(s)
	if err != nil {
		return nil, err
	}
	for _, part := range parts {
		host, number, given := strings.Cut(part, "#")
		at := uint16(53)
		a, err := address(host)
		if err == nil && given {
			at, err = udpPort(number)
		}
		if err != nil {
			return nil, fmt.Errorf("%q is neither ADDRESS nor ADDRESS#PORT", part)
		}
		out = append(out, netip.AddrPortFrom(a, at))
	}
	return out, nil
}

func address(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return a, fmt.Errorf("%q is not an IP address", s)
	}
	return a, nil
}

// orNone makes the empty text the zero value.
func orNone[T any](parse func(string) (T, error)) func(string) (T, error) {
	return func(s string) (v T, err error) {
		if s == "" {
			return v, nil
		}
		return parse(s)
	}
}

func baseMAC(s string) (weft.MAC, error) {
	mac, err := weft.ParseMAC(s)
	if err != nil {
		return mac, fmt.Errorf("%q is not a MAC address", s)
	}
	if mac[0]&1 != 0 {
		return mac, fmt.Errorf("%s is a multicast address", mac)
	}
	return mac, nil
}

// domain is a DNS domain, which gets the dot at its end if it has none.
func domain(s string) (string, error) {
	s = strings.TrimSuffix(s, ".")
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || strings.ContainsAny(label, " /_@:") {
			return "", fmt.Errorf("%q is not a domain", s)
		}
	}
	return s + ".", nil
}

func webURL(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", fmt.Errorf("%q is not the URL of a web server", s)
	}
	return strings.TrimSuffix(s, "/"), nil
}

// databaseURL does not show the URL when it is wrong: there may be a password in it.
func databaseURL(s string) (string, error) {
	for _, scheme := range []string{"sqlite:", "postgresql://", "postgres://"} {
		if strings.HasPrefix(s, scheme) {
			return s, nil
		}
	}
	return "", errors.New("it is neither a postgresql:// URL nor sqlite:FILE")
}

func level(s string) (l slog.Level, err error) {
	if err := l.UnmarshalText([]byte(s)); err != nil {
		return l, fmt.Errorf("%q is none of debug, info, warn, error", s)
	}
	return l, nil
}

// pageLimit is pagination_max_limit, where -1 and infinite are no limit.
func pageLimit(s string) (int, error) {
	if s == "infinite" || s == "-1" {
		return 0, nil
	}
	return number(1, 1<<31-1)(s)
}

// list is values with commas between them; a long one may go over several lines.
func list(s string) ([]string, error) {
	var out []string
	for part := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == ',' || r == '\n' }) {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		if slices.Contains(out, part) {
			return nil, fmt.Errorf("%s is listed twice", part)
		}
		out = append(out, part)
	}
	return out, nil
}

// listOf is a list of certain words.
func listOf(words ...string) func(string) ([]string, error) {
	return func(s string) ([]string, error) {
		out, err := list(s)
		for _, v := range out {
			if !slices.Contains(words, v) {
				return nil, fmt.Errorf("%q is none of %s", v, strings.Join(words, ", "))
			}
		}
		return out, err
	}
}

// mapping is NAME:VALUE pairs in a list.
func mapping[T any](parse func(string) (T, error)) func(string) (map[string]T, error) {
	return func(s string) (map[string]T, error) {
		pairs, err := list(s)
		if err != nil {
			return nil, err
		}
		out := map[string]T{}
		for _, pair := range pairs {
			name, value, ok := strings.Cut(pair, ":")
			name, value = strings.TrimSpace(name), strings.TrimSpace(value)
			if !ok || name == "" || value == "" {
				return nil, fmt.Errorf("%q is not of the form NAME:VALUE", pair)
			}
			if _, twice := out[name]; twice {
				return nil, fmt.Errorf("%s is listed twice", name)
			}
			if out[name], err = parse(value); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
		return out, nil
	}
}

// zone is the name of an availability zone.
func zone(s string) (string, error) {
	if s == "" || len(s) > 255 || strings.Contains(s, ",") {
		return "", fmt.Errorf("%q cannot be the name of an availability zone", s)
	}
	return s, nil
}

// device is the name of a network interface.
func device(s string) (string, error) {
	if len(s) > 15 || s == "." || s == ".." || strings.ContainsAny(s, "/: \t") {
		return "", fmt.Errorf("%q cannot be the name of an interface", s)
	}
	return s, nil
}

// span is MIN:MAX.
func span(s string, low, high int64) (Range, error) {
	from, to, ok := strings.Cut(s, ":")
	a, errA := strconv.ParseInt(strings.TrimSpace(from), 10, 64)
	b, errB := strconv.ParseInt(strings.TrimSpace(to), 10, 64)
	switch {
	case !ok || errA != nil || errB != nil:
		return Range{}, fmt.Errorf("%q is not of the form MIN:MAX", s)
	case a > b:
		return Range{}, fmt.Errorf("the range %s is empty", s)
	case a < low || b > high:
		return Range{}, fmt.Errorf("the range %s is not within %d:%d", s, low, high)
	}
	return Range{a, b}, nil
}

func ranges(low, high int64) func(string) ([]Range, error) {
	return func(s string) ([]Range, error) {
		parts, err := list(s)
		if err != nil {
			return nil, err
		}
		var out []Range
		for _, part := range parts {
			r, err := span(part, low, high)
			if err != nil {
				return nil, err
			}
			out = append(out, r)
		}
		return out, nil
	}
}

// vlanRanges is a list of PHYSNET or PHYSNET:MIN:MAX.
func vlanRanges(s string) (map[string][]Range, error) {
	parts, err := list(s)
	if err != nil {
		return nil, err
	}
	out := map[string][]Range{}
	for _, part := range parts {
		name, rest, ranged := strings.Cut(part, ":")
		if name == "" {
			return nil, fmt.Errorf("%q names no physical network", part)
		}
		if !ranged {
			if _, known := out[name]; !known {
				out[name] = nil
			}
			continue
		}
		r, err := span(rest, 1, 4094)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out[name] = append(out[name], r)
	}
	return out, nil
}
