package nft

import (
	"fmt"
	"maps"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"
)

// plan is the way from what a table is to what it must be.
type plan struct {
	want  Table
	have  *state // nil: there is no such table
	after *state

	table *nftables.Table
	text  []string
	steps []step
}

func (p *plan) do(s step, format string, args ...any) {
	p.steps = append(p.steps, s)
	p.text = append(p.text, fmt.Sprintf(format, args...))
}

// make lays out the steps so that each is valid after those before it: a set is
// there before a rule that looks in it, a chain before a jump to it, and both go
// only after nothing refers to them. A member joins before another leaves.
func (p *plan) make() {
	p.table = &nftables.Table{Family: p.want.Family, Name: p.want.Name}
	p.after = newState()
	if p.have != nil && p.incompatible() {
		p.do(func(n *nftables.Conn) error { n.DelTable(p.table); return nil }, "delete table %s", p.want.Name)
		p.have = nil
	}
	if p.have == nil {
		p.have = newState()
		p.do(func(n *nftables.Conn) error { n.AddTable(p.table); return nil }, "add table %s", p.want.Name)
	}
	p.addChains(false)
	p.addSets()
	p.addHelpers()
	p.rules(false)
	// Called by the kernel only now that what they call is complete.
	p.addChains(true)
	p.rules(true)
	p.removeElements()
	p.removeRest()
}

// incompatible reports whether the table has a set of another type or a chain at
// another hook than wanted, which cannot be changed: as after an upgrade.
func (p *plan) incompatible() bool {
	for _, s := range p.want.Sets {
		if have, ok := p.have.sets[s.Name]; ok && have.spec != setSpec(p.set(s)) {
			return true
		}
	}
	for _, c := range p.want.Chains {
		if have, ok := p.have.chains[c.Name]; ok && have.hook != hookText(p.chain(c)) {
			return true
		}
	}
	return false
}

func (p *plan) addChains(base bool) {
	for _, c := range p.want.Chains {
		if _, ok := p.have.chains[c.Name]; ok || base != (c.Hook != nil) {
			continue
		}
		chain := p.chain(c)
		p.do(func(n *nftables.Conn) error { n.AddChain(chain); return nil }, "add chain %s", c.Name)
	}
}

func (p *plan) chain(c Chain) *nftables.Chain {
	out := &nftables.Chain{Name: c.Name, Table: p.table}
	if c.Hook != nil {
		prio, accept := nftables.ChainPriority(c.Hook.Priority), nftables.ChainPolicyAccept
		out.Type, out.Hooknum, out.Priority, out.Policy = c.Hook.Type, c.Hook.Num, &prio, &accept
	}
	return out
}

func (p *plan) set(s Set) *nftables.Set {
	types := make([]nftables.SetDatatype, len(s.Key))
	for i, k := range s.Key {
		types[i] = k.datatype()
	}
	out := &nftables.Set{Table: p.table, Name: s.Name, KeyType: types[0], KeyByteOrder: binaryutil.NativeEndian}
	if s.Key[0] == IPv4 || s.Key[0] == IPv6 || s.Key[0] == Service {
		out.KeyByteOrder = binaryutil.BigEndian // only nft, showing it, asks
	}
	if len(types) > 1 {
		out.KeyType, out.Concatenation = nftables.MustConcatSetType(types...), true
	}
	if s.Value != nil {
		out.IsMap, out.DataType = true, s.Value.datatype()
	}
	return out
}

// elementChunk is how many elements go into one message: a netlink attribute holds
// 64 KiB.
const elementChunk = 200

func (p *plan) addSets() {
	for _, s := range p.want.Sets {
		set := p.set(s)
		have, ok := p.have.sets[s.Name]
		if !ok {
			p.do(func(n *nftables.Conn) error { return n.AddSet(set, nil) }, "add set %s", s.Name)
		}
		after := setState{setSpec(set), make(map[string]string, len(s.Elements))}
		var changed, missing []nftables.SetElement
		for _, e := range s.Elements {
			key, value := e.bytes(), e.valueText()
			if _, twice := after.elements[string(key)]; twice {
				continue
			}
			after.elements[string(key)] = value
			old, there := have.elements[string(key)]
			if there && old == value {
				continue
			}
			if there { // a map's element with another value has to go first
				changed = append(changed, nftables.SetElement{Key: key})
			}
			missing = append(missing, e.kernel(key))
			p.text = append(p.text, fmt.Sprintf("add element %s { %s }", s.Name, e))
		}
		p.after.sets[s.Name] = after
		p.elements(set, changed, (*nftables.Conn).SetDeleteElements)
		p.elements(set, missing, (*nftables.Conn).SetAddElements)
	}
}

func (p *plan) elements(set *nftables.Set, list []nftables.SetElement, op func(*nftables.Conn, *nftables.Set, []nftables.SetElement) error) {
	for chunk := range slices.Chunk(list, elementChunk) {
		p.steps = append(p.steps, func(n *nftables.Conn) error { return op(n, set, chunk) })
	}
}

// bytes is an element's key as the kernel wants it: components padded to whole
// registers.
func (e Element) bytes() []byte {
	if len(e.Key) == 1 {
		return e.Key[0].bytes
	}
	var key []byte
	for _, d := range e.Key {
		key = append(key, d.bytes...)
		for len(key)%4 != 0 {
			key = append(key, 0)
		}
	}
	return key
}

func (e Element) valueText() string {
	switch {
	case e.Value == nil:
		return ""
	case e.Value.verdict != nil:
		return verdictText(int32(e.Value.verdict.Kind), e.Value.verdict.Chain)
	}
	return valueText(e.Value.bytes, false)
}

func (e Element) kernel(key []byte) nftables.SetElement {
	out := nftables.SetElement{Key: key}
	if e.Value != nil {
		out.Val, out.VerdictData = e.Value.bytes, e.Value.verdict
	}
	return out
}

// rules replaces the content of chains that differ.
func (p *plan) rules(base bool) {
	for _, c := range p.want.Chains {
		if base != (c.Hook != nil) {
			continue
		}
		after := chainState{hookText(p.chain(c)), make([]string, len(c.Rules))}
		for i, r := range c.Rules {
			after.hashes[i] = r.hash()
		}
		p.after.chains[c.Name] = after
		if have := p.have.chains[c.Name].hashes; !slices.Equal(have, after.hashes) {
			p.rewrite(c, after.hashes, len(have) > 0)
		}
	}
}

// rewrite is one step: a chain must never be seen half full.
func (p *plan) rewrite(c Chain, hashes []string, flush bool) {
	chain := p.chain(c)
	if flush {
		p.text = append(p.text, "flush chain "+c.Name)
	}
	for _, r := range c.Rules {
		p.text = append(p.text, fmt.Sprintf("add rule %s %s", c.Name, r))
	}
	p.steps = append(p.steps, func(n *nftables.Conn) error {
		if flush {
			n.FlushChain(chain)
		}
		for i, r := range c.Rules {
			comment := userdata.AppendString(nil, ruleComment, hashes[i])
			n.AddRule(&nftables.Rule{Table: p.table, Chain: chain, Exprs: r.exprs(), UserData: comment})
		}
		return nil
	})
}

func (p *plan) removeElements() {
	for _, s := range p.want.Sets {
		wanted := p.after.sets[s.Name].elements
		var keys []string
		for key := range p.have.sets[s.Name].elements {
			if _, ok := wanted[key]; !ok {
				keys = append(keys, key)
			}
		}
		slices.Sort(keys)
		gone := make([]nftables.SetElement, len(keys))
		for i, key := range keys {
			gone[i].Key = []byte(key)
			p.text = append(p.text, fmt.Sprintf("delete element %s { %s }", s.Name, s.keyText(gone[i].Key)))
		}
		p.elements(p.set(s), gone, (*nftables.Conn).SetDeleteElements)
	}
}

func (p *plan) helper(h Helper) *nftables.NamedObj {
	l3 := map[nftables.TableFamily]uint16{Inet: unix.NFPROTO_INET, IP: unix.NFPROTO_IPV4, IP6: unix.NFPROTO_IPV6}[p.want.Family]
	return &nftables.NamedObj{Table: p.table, Name: h.Name, Type: nftables.ObjTypeCtHelper,
		Obj: &expr.CtHelper{Name: h.Type, L3Proto: l3, L4Proto: uint8(h.Protocol)}}
}

func (p *plan) addHelpers() {
	for _, h := range p.want.Helpers {
		p.after.helpers[h.Name] = true
		if !p.have.helpers[h.Name] {
			obj := p.helper(h)
			p.do(func(n *nftables.Conn) error { n.AddObj(obj); return nil }, "add %s", h)
		}
	}
}

func (p *plan) removeHelpers() {
	for _, name := range slices.Sorted(maps.Keys(p.have.helpers)) {
		if !p.after.helpers[name] {
			obj := p.helper(Helper{Name: name})
			p.do(func(n *nftables.Conn) error { n.DeleteObject(obj); return nil }, "delete ct helper %s", name)
		}
	}
}

// removeRest removes the chains and sets that are no longer wanted. All are
// emptied first, since they may refer to each other.
func (p *plan) removeRest() {
	var chains []*nftables.Chain
	for _, name := range slices.Sorted(maps.Keys(p.have.chains)) {
		if _, wanted := p.after.chains[name]; !wanted {
			chains = append(chains, &nftables.Chain{Name: name, Table: p.table})
		}
	}
	for _, c := range chains {
		p.do(func(n *nftables.Conn) error { n.FlushChain(c); return nil }, "flush chain %s", c.Name)
	}
	var sets []string
	for _, name := range slices.Sorted(maps.Keys(p.have.sets)) {
		if _, wanted := p.after.sets[name]; !wanted {
			sets = append(sets, name)
		}
	}
	// Maps to verdicts hold the chains that they name.
	for _, name := range sets {
		p.do(func(n *nftables.Conn) error { n.DelSet(&nftables.Set{Name: name, Table: p.table}); return nil }, "delete set %s", name)
	}
	for _, c := range chains {
		p.do(func(n *nftables.Conn) error { n.DelChain(c); return nil }, "delete chain %s", c.Name)
	}
	p.removeHelpers()
}
