package nft

import (
	"encoding/binary"
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/userdata"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// state is what is in force of one table.
type state struct {
	chains  map[string]chainState
	sets    map[string]setState
	helpers map[string]bool // by name
}

type chainState struct {
	hook   string   // what it is called by; "" if by jumps
	hashes []string // of its rules
}

type setState struct {
	spec     string            // types, as far as the library tells them
	elements map[string]string // bytes of the key -> text of the value
}

// ruleComment is NFTNL_UDATA_RULE_COMMENT of libnftnl: nft shows the hash as the
// rule's comment.
const ruleComment userdata.Type = 0

func newState() *state {
	return &state{chains: map[string]chainState{}, sets: map[string]setState{}, helpers: map[string]bool{}}
}

// dial is for queries. Unless it is lasting, which the caller closes, it opens a
// socket for each.
func (c *Conn) dial(opts ...nftables.ConnOption) (*nftables.Conn, error) {
	if c.nsFD != 0 {
		opts = append(opts, nftables.WithNetNSFd(c.nsFD))
	}
	return nftables.New(opts...)
}

func (c *Conn) find(t Table) (*nftables.Table, error) {
	n, err := c.dial(nftables.AsLasting())
	if err != nil {
		return nil, err
	}
	defer n.CloseLasting()
	tables, err := n.ListTablesOfFamily(t.Family)
	for _, table := range tables {
		if table.Name == t.Name {
			return table, err
		}
	}
	return nil, err
}

// observe reads a table from the kernel; nil if it is not there.
func (c *Conn) observe(t Table) (*state, error) {
	table, err := c.find(t)
	if table == nil || err != nil {
		return nil, err
	}
	n, err := c.dial(nftables.AsLasting())
	if err != nil {
		return nil, err
	}
	defer n.CloseLasting()
	s := newState()
	if err := readChains(n, table, s); err != nil {
		return nil, err
	}
	if err := readHelpers(n, table, s); err != nil {
		return nil, err
	}
	return s, readSets(n, table, s)
}

func readHelpers(n *nftables.Conn, table *nftables.Table, s *state) error {
	objects, err := n.GetNamedObjects(table)
	for _, o := range objects {
		if h, ok := o.(*nftables.NamedObj); ok && h.Type == nftables.ObjTypeCtHelper {
			s.helpers[h.Name] = true
		}
	}
	return err
}

func readChains(n *nftables.Conn, table *nftables.Table, s *state) error {
	chains, err := n.ListChainsOfTableFamily(table.Family)
	if err != nil {
		return err
	}
	for _, ch := range chains {
		if ch.Table.Name != table.Name {
			continue
		}
		rules, err := n.GetRules(table, ch)
		if err != nil {
			return err
		}
		hashes := make([]string, len(rules))
		for i, r := range rules {
			hashes[i], _ = userdata.GetString(r.UserData, ruleComment)
		}
		s.chains[ch.Name] = chainState{hookText(ch), hashes}
	}
	return nil
}

// hookText tells apart the hooks of base chains.
func hookText(c *nftables.Chain) string {
	if c.Hooknum == nil || c.Priority == nil {
		return ""
	}
	return fmt.Sprintf("%s %d %d", c.Type, *c.Hooknum, *c.Priority)
}

func readSets(n *nftables.Conn, table *nftables.Table, s *state) error {
	sets, err := n.GetSets(table)
	if err != nil {
		return err
	}
	for _, set := range sets {
		elements, err := n.GetSetElements(set)
		if err != nil {
			return err
		}
		spec := setSpec(set)
		m := make(map[string]string, len(elements))
		for _, e := range elements {
			m[string(e.Key)] = valueText(e.Val, spec == verdictSpec)
		}
		s.sets[set.Name] = setState{spec, m}
	}
	return nil
}

const verdictSpec = "map to verdict"

// setSpec tells sets of other types apart. The library loses the key's type of
// maps to verdicts.
func setSpec(s *nftables.Set) string {
	magic := nftables.TypeVerdict
	switch {
	case s.IsMap && (s.KeyType.GetNFTMagic() == magic.GetNFTMagic() || s.DataType.GetNFTMagic() == magic.GetNFTMagic()):
		return verdictSpec
	case s.IsMap:
		return fmt.Sprintf("map %x to %x", s.KeyType.GetNFTMagic(), s.DataType.GetNFTMagic())
	}
	return fmt.Sprintf("set %x", s.KeyType.GetNFTMagic())
}

// valueText is an element's value in a form that is the same for what is wanted
// and for what the kernel shows. Of a verdict the library gives the attributes.
func valueText(value []byte, verdict bool) string {
	if !verdict {
		return fmt.Sprintf("%x", value)
	}
	attrs, err := netlink.UnmarshalAttributes(value)
	if err != nil {
		return "?"
	}
	code, chain := int32(0), ""
	for _, a := range attrs {
		switch {
		case a.Type == unix.NFTA_VERDICT_CODE && len(a.Data) == 4:
			code = int32(binary.BigEndian.Uint32(a.Data))
		case a.Type == unix.NFTA_VERDICT_CHAIN:
			chain = unix.ByteSliceToString(a.Data)
		}
	}
	return verdictText(code, chain)
}

func verdictText(code int32, chain string) string { return fmt.Sprintf("verdict %d %s", code, chain) }
