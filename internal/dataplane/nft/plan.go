package nft

import (
	"fmt"
	"maps"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
)

// plan is the way from what a table is to what it must be.
type plan struct {
	want  Table
	have  *state // nil: there is no such table
	after *state

	table *nftables.Table
	text  []string
	steps []func(*nftables.Conn) error
}

func (p *plan) do(step func(*nftables.Conn) error, format string, args ...any) {
	p.steps = append(p.steps, step)
	p.text = append(p.text, fmt.Sprintf(format, args...))
}

// make lays out the steps so that each is valid after those before it: a set is
// there before a rule that looks in it, a chain before a jump to it, and both go
// only after nothing refers to them.
func (p *plan) make() {
	p.table = &nftables.Table{Family: p.want.Family, Name: p.want.Name}
	p.after = &state{chains: map[string][]string{}, sets: map[string]map[string]bool{}, specs: map[string]string{}}
	if p.have == nil {
		p.have = &state{chains: map[string][]string{}, sets: map[string]map[string]bool{}}
		p.do(func(n *nftables.Conn) error { n.AddTable(p.table); return nil }, "add table %s", p.want.Name)
	}
	p.newChains()
	p.addSets()
	p.rules()
	p.removeElements()
	p.removeRest()
}

func (p *plan) newChains() {
	for _, c := range p.want.Chains {
		if _, ok := p.have.chains[c.Name]; ok {
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
		var missing []nftables.SetElement
		p.after.sets[s.Name] = make(map[string]bool, len(s.Elements))
		var gone []nftables.SetElement
		for _, e := range s.Elements {
			el, key := kernelElement(e)
			if p.after.sets[s.Name][key] {
				continue
			}
			p.after.sets[s.Name][key] = true
			if have[key] {
				continue
			}
			// A map's element with another value has to go first.
			if s.Value != nil && sameKey(have, key) {
				gone = append(gone, nftables.SetElement{Key: el.Key})
			}
			missing = append(missing, el)
			p.text = append(p.text, fmt.Sprintf("add element %s { %s }", s.Name, e))
		}
		p.elements(set, gone, (*nftables.Conn).SetDeleteElements)
		p.elements(set, missing, (*nftables.Conn).SetAddElements)
	}
}

func sameKey(have map[string]bool, key string) bool {
	k, _, _ := cutSpace(key)
	for h := range have {
		if hk, _, _ := cutSpace(h); hk == k {
			return true
		}
	}
	return false
}

func cutSpace(s string) (before, after string, ok bool) {
	for i := range s {
		if s[i] == ' ' {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

func (p *plan) elements(set *nftables.Set, list []nftables.SetElement, op func(*nftables.Conn, *nftables.Set, []nftables.SetElement) error) {
	for chunk := range slices.Chunk(list, elementChunk) {
		p.steps = append(p.steps, func(n *nftables.Conn) error { return op(n, set, chunk) })
	}
}

// kernelElement is an element as the kernel wants it: components padded to whole
// registers.
func kernelElement(e Element) (nftables.SetElement, string) {
	var key []byte
	for _, d := range e.Key {
		key = append(key, d.bytes...)
		if len(e.Key) > 1 {
			for len(key)%4 != 0 {
				key = append(key, 0)
			}
		}
	}
	out := nftables.SetElement{Key: key}
	if e.Value != nil {
		out.Val, out.VerdictData = e.Value.bytes, e.Value.verdict
	}
	return out, raw(key, out.Val, out.VerdictData)
}

// rules replaces the content of chains that differ.
func (p *plan) rules() {
	for _, c := range p.want.Chains {
		hashes := make([]string, len(c.Rules))
		for i, r := range c.Rules {
			hashes[i] = r.hash()
		}
		p.after.chains[c.Name] = hashes
		have, exists := p.have.chains[c.Name]
		if slices.Equal(have, hashes) {
			continue
		}
		chain := p.chain(c)
		if exists && len(have) > 0 {
			p.do(func(n *nftables.Conn) error { n.FlushChain(chain); return nil }, "flush chain %s", c.Name)
		}
		for i, r := range c.Rules {
			rule := &nftables.Rule{Table: p.table, Chain: chain, Exprs: r.exprs(), UserData: []byte(hashes[i])}
			p.do(func(n *nftables.Conn) error { n.AddRule(rule); return nil }, "add rule %s %s", c.Name, r)
		}
	}
}

func (p *plan) removeElements() {
	for _, s := range p.want.Sets {
		var gone []nftables.SetElement
		for _, key := range slices.Sorted(maps.Keys(p.have.sets[s.Name])) {
			if p.after.sets[s.Name][key] {
				continue
			}
			if s.Value != nil && sameKey(p.after.sets[s.Name], key) {
				continue // its value was changed
			}
			k, _, _ := cutSpace(key)
			gone = append(gone, nftables.SetElement{Key: unhex(k)})
			p.text = append(p.text, fmt.Sprintf("delete element %s { %s }", s.Name, k))
		}
		p.elements(p.set(s), gone, (*nftables.Conn).SetDeleteElements)
	}
}

func unhex(s string) []byte {
	out := make([]byte, len(s)/2)
	for i := range out {
		fmt.Sscanf(s[2*i:2*i+2], "%02x", &out[i])
	}
	return out
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
	for _, c := range chains {
		p.do(func(n *nftables.Conn) error { n.DelChain(c); return nil }, "delete chain %s", c.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(p.have.sets)) {
		if _, wanted := p.after.sets[name]; !wanted {
			p.do(func(n *nftables.Conn) error { n.DelSet(&nftables.Set{Name: name, Table: p.table}); return nil }, "delete set %s", name)
		}
	}
}
