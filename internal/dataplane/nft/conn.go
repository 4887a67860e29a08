package nft

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
)

// Conn converges the tables of one network namespace. It remembers what it has
// put in force, so that a small change costs a small transaction; it looks again
// after an error, and when anybody else has changed nftables in the namespace. It
// is not safe for concurrent use.
type Conn struct {
	nsFD  int // 0: the namespace of the process
	known map[string]*state
	gen   uint32 // of the kernel's ruleset, when known was right
}

// Open makes a Conn for the namespace open as a file descriptor, which must stay
// open; 0 is the process's own. Nothing is sent before Converge.
func Open(nsFD int) *Conn { return &Conn{nsFD: nsFD, known: map[string]*state{}} }

// Forget makes the next Converge look at the kernel.
func (c *Conn) Forget() { clear(c.known) }

// Converge brings a table to its desired value. The operations done are returned
// as text, for the log and for tests.
func (c *Conn) Converge(ctx context.Context, t Table) ([]string, error) {
	k, err := dial(c.nsFD)
	if err != nil {
		return nil, err
	}
	defer k.close()
	have, err := c.have(k, t)
	if err != nil {
		return nil, fmt.Errorf("reading table %s: %w", t.Name, err)
	}
	p := &plan{want: t, have: have}
	p.make()
	if len(p.text) == 0 {
		c.known[t.key()] = p.after
		return nil, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	delete(c.known, t.key())
	if err := c.apply(k, p); err != nil {
		c.Forget()
		return p.text, fmt.Errorf("changing table %s: %w", t.Name, err)
	}
	c.known[t.key()] = p.after
	return p.text, nil
}

func (t Table) key() string { return fmt.Sprint(t.Family, " ", t.Name) }

// have is what is in force of a table; nil if there is no such table.
func (c *Conn) have(k *kernel, t Table) (*state, error) {
	gen, err := k.generation()
	if err != nil {
		return nil, err
	}
	if gen != c.gen {
		c.Forget()
		c.gen = gen
	}
	if have := c.known[t.key()]; have != nil {
		return have, nil
	}
	return c.observe(t)
}

// apply carries a plan out. Every transaction counts the generation up by one; if
// it has moved by more, somebody else was at work too.
func (c *Conn) apply(k *kernel, p *plan) error {
	done, err := k.send(p.steps)
	if err != nil {
		return err
	}
	gen, err := k.generation()
	if err != nil {
		return err
	}
	if gen != c.gen+uint32(done) {
		c.Forget()
	}
	c.gen = gen
	return nil
}

// Marks is what a map from interface names to marks holds in the kernel; empty if
// there is no such map.
func (c *Conn) Marks(t Table, m string) (map[string]uint32, error) {
	k, err := dial(c.nsFD)
	if err != nil {
		return nil, err
	}
	defer k.close()
	have, err := c.have(k, t)
	if have == nil || err != nil {
		return nil, err
	}
	c.known[t.key()] = have
	out := map[string]uint32{}
	for key, value := range have.sets[m].elements {
		if b, err := hex.DecodeString(value); err == nil && len(b) == 4 {
			out[strings.TrimRight(key, "\x00")] = binaryutil.NativeEndian.Uint32(b)
		}
	}
	return out, nil
}

// Delete removes a table, if there is one.
func (c *Conn) Delete(t Table) error {
	delete(c.known, t.key())
	table, err := c.find(t)
	if table == nil || err != nil {
		return err
	}
	k, err := dial(c.nsFD)
	if err != nil {
		return err
	}
	defer k.close()
	_, err = k.send([]step{func(n *nftables.Conn) error { n.DelTable(table); return nil }})
	if err != nil {
		return fmt.Errorf("deleting table %s: %w", t.Name, err)
	}
	return nil
}

// Ours are the tables of the namespace whose names begin with weft.
func (c *Conn) Ours() ([]Table, error) {
	n, err := c.dial(nftables.AsLasting())
	if err != nil {
		return nil, err
	}
	defer n.CloseLasting()
	tables, err := n.ListTables()
	var out []Table
	for _, t := range tables {
		if strings.HasPrefix(t.Name, "weft") {
			out = append(out, Table{Family: t.Family, Name: t.Name})
		}
	}
	return out, err
}
