package nft

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Conn converges the tables of one network namespace. It remembers what it has
// put in force, so that a small change costs a small transaction; after an error
// it looks again. It is not safe for concurrent use.
type Conn struct {
	nsFD  int // 0: the namespace of the process
	known map[string]*state
}

// Open makes a Conn for the namespace open as a file descriptor, which must stay
// open; 0 is the process's own. Nothing is sent before Converge.
func Open(nsFD int) *Conn { return &Conn{nsFD: nsFD, known: map[string]*state{}} }

// Forget makes the next Converge look at the kernel.
func (c *Conn) Forget() { clear(c.known) }

// bufferSize is the wish for socket buffers: the kernel acknowledges every message
// of a transaction, and all acknowledgements have to fit.
const bufferSize = 64 << 20

func (c *Conn) dial() (*nftables.Conn, error) {
	opts := []nftables.ConnOption{nftables.WithSockOptions(func(s *netlink.Conn) error {
		// In a user namespace the limits of the host hold; then batches are small.
		s.SetReadBuffer(bufferSize)
		s.SetWriteBuffer(bufferSize)
		return nil
	})}
	if c.nsFD != 0 {
		opts = append(opts, nftables.WithNetNSFd(c.nsFD))
	}
	return nftables.New(opts...)
}

// state is what is in force of one table.
type state struct {
	chains map[string][]string        // hashes of rules
	sets   map[string]map[string]bool // texts of elements
	specs  map[string]string          // types of sets
}

// Converge brings a table to its desired value. The operations done are returned
// as text, for the log and for tests.
func (c *Conn) Converge(ctx context.Context, t Table) ([]string, error) {
	key := fmt.Sprint(t.Family, " ", t.Name)
	have := c.known[key]
	if have == nil {
		var err error
		if have, err = c.observe(t); err != nil {
			return nil, fmt.Errorf("reading table %s: %w", t.Name, err)
		}
	}
	p := &plan{want: t, have: have}
	p.make()
	if len(p.text) == 0 {
		c.known[key] = p.after
		return nil, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	delete(c.known, key)
	if err := c.apply(p); err != nil {
		return p.text, fmt.Errorf("changing table %s: %w", t.Name, err)
	}
	c.known[key] = p.after
	return p.text, nil
}

// batch is how many steps go into one transaction: all of them, unless the socket
// cannot hold that many acknowledgements, as in a user namespace.
const smallBatch = 150

func (c *Conn) apply(p *plan) error {
	err := c.send(p.steps)
	if !errors.Is(err, unix.ENOBUFS) && !errors.Is(err, unix.EMSGSIZE) {
		return err
	}
	// The order of steps keeps each part valid: tables, sets and chains first.
	for i := 0; i < len(p.steps); i += smallBatch {
		if err := c.send(p.steps[i:min(i+smallBatch, len(p.steps))]); err != nil {
			return err
		}
	}
	return nil
}

func (c *Conn) send(steps []func(*nftables.Conn) error) error {
	n, err := c.dial()
	if err != nil {
		return err
	}
	for _, step := range steps {
		if err := step(n); err != nil {
			return err
		}
	}
	return n.Flush()
}

// observe reads a table from the kernel.
func (c *Conn) observe(t Table) (*state, error) {
	n, err := c.dial()
	if err != nil {
		return nil, err
	}
	tables, err := n.ListTablesOfFamily(t.Family)
	if err != nil {
		return nil, err
	}
	for _, table := range tables {
		if table.Name == t.Name {
			return read(n, table)
		}
	}
	return nil, nil
}

func read(n *nftables.Conn, table *nftables.Table) (*state, error) {
	s := &state{chains: map[string][]string{}, sets: map[string]map[string]bool{}, specs: map[string]string{}}
	chains, err := n.ListChainsOfTableFamily(table.Family)
	if err != nil {
		return nil, err
	}
	for _, ch := range chains {
		if ch.Table.Name != table.Name {
			continue
		}
		rules, err := n.GetRules(table, ch)
		if err != nil {
			return nil, err
		}
		s.chains[ch.Name] = []string{}
		for _, r := range rules {
			s.chains[ch.Name] = append(s.chains[ch.Name], string(r.UserData))
		}
	}
	return s, readSets(n, table, s)
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
		s.sets[set.Name] = map[string]bool{}
		for _, e := range elements {
			s.sets[set.Name][raw(e.Key, e.Val, e.VerdictData)] = true
		}
	}
	return nil
}

// raw is an element as a string that is the same for what is wanted and for what
// the kernel shows.
func raw(key, value []byte, v *expr.Verdict) string {
	if v != nil {
		return fmt.Sprintf("%x goto %s", key, v.Chain)
	}
	return fmt.Sprintf("%x %x", key, value)
}

// Delete removes a table, if there is one.
func (c *Conn) Delete(t Table) error {
	n, err := c.dial()
	if err != nil {
		return err
	}
	tables, err := n.ListTablesOfFamily(t.Family)
	if err != nil {
		return err
	}
	delete(c.known, fmt.Sprint(t.Family, " ", t.Name))
	for _, table := range tables {
		if table.Name == t.Name {
			n.DelTable(table)
			return n.Flush()
		}
	}
	return nil
}

// Ours are the tables of the namespace whose names begin with weft.
func (c *Conn) Ours() ([]Table, error) {
	n, err := c.dial()
	if err != nil {
		return nil, err
	}
	tables, err := n.ListTables()
	var out []Table
	for _, t := range tables {
		if strings.HasPrefix(t.Name, "weft") {
			out = append(out, Table{Family: t.Family, Name: t.Name})
		}
	}
	return out, err
}
