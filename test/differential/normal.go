package main

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// names replaces in answers what chance, the clock or the host decide. Ids that
// requests know by name get that name, so that a wrong one shows; everything else
// of the kind becomes its kind.
type names struct {
	known []string        // value, name, value, name, ...
	have  map[string]bool // values in known
	words map[string]bool // ids and addresses sent so far
	asked map[string]bool // segmentation ids sent so far
}

func newNames(s *side) *names {
	n := &names{have: map[string]bool{}, words: map[string]bool{}, asked: map[string]bool{}}
	n.name(s.endpoint.network, "<url>")
	n.name(s.endpoint.identity, "<identity>")
	n.name(strings.TrimSuffix(s.endpoint.identity, "/v3"), "<identity>")
	n.name(s.run, "$RUN")
	n.name(noSuch, "$NONE")
	for _, project := range []string{"A", "B", "C", "ADMIN"} {
		n.name(fmt.Sprint(s.globals[project]), "$"+project)
	}
	return n
}

func (n *names) name(value, name string) {
	if !n.have[value] {
		n.have[value] = true
		n.known = append(n.known, value, name)
	}
}

// sent notes the text of a request: what it says literally is not chance.
func (n *names) sent(text string) {
	text = pools.ReplaceAllString(text, "") // where addresses are drawn from is not which
	for _, kind := range []*regexp.Regexp{uuids, hexIDs, macs, ipv4, ipv6} {
		for _, word := range kind.FindAllString(strings.ToLower(text), -1) {
			n.words[word] = true
		}
	}
	for _, m := range segmentation.FindAllStringSubmatch(text, -1) {
		n.asked[m[1]] = true
	}
}

var pools = regexp.MustCompile(`"allocation_pools": *\[[^\]]*\]`)

var segmentation = regexp.MustCompile(`segmentation_id"?[:=] *"?(\d+)`)

// learn names the ids and MAC addresses in a noun, or a list of nouns, that is kept.
// Elements of lists below have no order to be named by.
func (n *names) learn(as string, v any) {
	if list, ok := v.([]any); ok {
		for i, e := range list {
			n.learnNoun(fmt.Sprintf("%s.%d", as, i), e)
		}
		return
	}
	n.learnNoun(as, v)
}

func (n *names) learnNoun(as string, v any) {
	switch v := v.(type) {
	case string:
		if uuids.MatchString(v) || macs.MatchString(v) && !n.words[v] {
			n.name(v, "$"+as)
		}
	case []any:
		for _, e := range v {
			if s, ok := e.(string); ok {
				n.learnNoun(as, s)
			}
		}
	case map[string]any:
		keys := slices.Sorted(maps.Keys(v))
		slices.SortStableFunc(keys, func(a, b string) int { return order(a) - order(b) })
		for _, k := range keys {
			n.learnNoun(as+"."+k, v[k])
		}
	}
}

// order puts a noun's own id before others that may be equal to it.
func order(key string) int {
	if key == "id" {
		return 0
	}
	return 1
}

var (
	uuids    = regexp.MustCompile(`\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`)
	hexIDs   = regexp.MustCompile(`\b[0-9a-f]{32}\b`)
	times    = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`)
	oldTimes = regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$`)
	macs     = regexp.MustCompile(`\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b`)
	ipv4     = regexp.MustCompile(`\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b(?:/\d+)?`)
	ipv6     = regexp.MustCompile(`\b(?:[0-9a-f]{1,4}:){1,7}[0-9a-f:]*[0-9a-f]\b`)
	hosts    = regexp.MustCompile(`\bhost-[0-9a-f-]+\b`)
)

// text normalises any text.
func (n *names) text(s string) string {
	for i := 0; i < len(n.known); i += 2 {
		s = strings.ReplaceAll(s, n.known[i], n.known[i+1])
	}
	s = braces.ReplaceAllStringFunc(s, sortBraces)
	s = uuids.ReplaceAllStringFunc(s, n.unlessSaid("<uuid>"))
	s = hexIDs.ReplaceAllStringFunc(s, n.unlessSaid("<id>"))
	s = macs.ReplaceAllStringFunc(s, n.unlessSaid("<mac>"))
	if times.MatchString(s) {
		return "<time>"
	}
	if oldTimes.MatchString(s) {
		return "<old time>"
	}
	return s
}

func (n *names) unlessSaid(instead string) func(string) string {
	return func(v string) string {
		if n.words[v] {
			return v
		}
		return instead
	}
}

// addresses normalises the addresses that are drawn at random.
func (n *names) addresses(s string) string {
	s = hosts.ReplaceAllString(s, "<host>")
	s = ipv4.ReplaceAllStringFunc(s, n.unlessSaid("<ip>"))
	return ipv6.ReplaceAllStringFunc(s, n.unlessSaid("<ip>"))
}

// drawn are the members whose addresses are drawn at random, and texts that may
// speak of them.
var drawn = map[string]bool{"ip_address": true, "hostname": true, "fqdn": true, "floating_ip_address": true, "fixed_ip_address": true,
	"local_ip_address": true, "internal_ip_address": true, "message": true, "external_port_address": true}

// counted are the members whose numbers are drawn at random.
var counted = map[string]bool{"provider:segmentation_id": true, "segmentation_id": true}

// sequences are the lists whose order means something.
var sequences = map[string]bool{"dns_nameservers": true}

// value normalises a value of the body; key is the member that it is.
func (n *names) value(key string, v any, inOrder bool) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			out[n.text(k)] = n.value(k, e, inOrder)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = n.value(key, e, false)
		}
		if !inOrder && !sequences[key] {
			slices.SortStableFunc(out, func(a, b any) int {
				return cmp.Or(strings.Compare(unnamed(a), unnamed(b)), strings.Compare(canonical(a), canonical(b)))
			})
		}
		return out
	case string:
		if key == "href" {
			v = sortQuery(v)
		}
		v = n.text(v)
		if drawn[key] {
			v = n.addresses(v)
		}
		return v
	case float64:
		if counted[key] && !n.asked[strconv.FormatFloat(v, 'f', -1, 64)] {
			return "<number>"
		}
	}
	return v
}

// unnamed is a value without the names of ids, which depend on an order themselves.
func unnamed(v any) string { return given.ReplaceAllString(canonical(v), "$$") }

var given = regexp.MustCompile(`\$[\w.]+`)

// braces are a set or a dictionary as Python prints it, in an order that means
// nothing.
var braces = regexp.MustCompile(`\{'[^{}]*\}`)

func sortBraces(s string) string {
	parts := strings.Split(strings.Trim(s, "{}"), ", '")
	for i := range parts {
		parts[i] = strings.TrimPrefix(parts[i], "'")
	}
	slices.Sort(parts)
	return "{'" + strings.Join(parts, ", '") + "}"
}

// sortQuery puts the parameters of a link in order, which is arbitrary.
func sortQuery(link string) string {
	u, err := url.Parse(link)
	if err != nil || u.RawQuery == "" {
		return link
	}
	params := strings.Split(u.RawQuery, "&")
	slices.Sort(params)
	u.RawQuery = strings.Join(params, "&")
	return u.String()
}
