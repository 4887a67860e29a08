package l2

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/weftnet/weft/internal/dataplane/link"
)

// Op is one change of the kernel.
type Op struct {
	For  string // id of the network or port it is for
	text string
	run  func(*kernel) error
}

// String is how one would make the change by hand.
func (o Op) String() string { return o.text }

// kernel carries operations out. They name interfaces, because some are made by
// an operation before.
type kernel struct {
	*link.Handle
	index map[string]int
}

func (k *kernel) find(name string) (int, error) {
	if i, ok := k.index[name]; ok {
		return i, nil
	}
	l, err := k.ByName(name)
	if err == nil {
		k.index[name] = l.Index
	}
	return l.Index, err
}

// on makes an operation on one interface.
func on(id, name, text string, run func(*kernel, int) error) Op {
	return Op{id, text, func(k *kernel) error {
		i, err := k.find(name)
		if err != nil {
			return err
		}
		return run(k, i)
	}}
}

func set(id, name, what string, changes ...link.Change) Op {
	return on(id, name, "ip link set "+name+" "+what, func(k *kernel, i int) error { return k.Set(i, changes...) })
}

// enslave puts an interface on a bridge, changing it beforehand.
func enslave(id, name, bridge, what string, changes ...link.Change) Op {
	return on(id, name, "ip link set "+name+" master "+bridge+what, func(k *kernel, i int) error {
		br, err := k.find(bridge)
		if err != nil {
			return err
		}
		return k.Set(i, append(changes, link.Master(br))...)
	})
}

// create makes an interface, on a bridge unless that is "".
func create(id, name, bridge, text string, kind link.Kind, changes ...link.Change) Op {
	return Op{id, "ip link add " + name + " " + text, func(k *kernel) error {
		if bridge != "" {
			br, err := k.find(bridge)
			if err != nil {
				return err
			}
			changes = append(changes, link.Master(br))
		}
		l, err := k.Create(name, kind, changes...)
		k.index[name] = l.Index
		return err
	}}
}

func remove(id string, links ...link.Link) Op {
	var text []string
	var indexes []int
	for _, l := range links {
		text = append(text, "ip link del "+l.Name)
		indexes = append(indexes, l.Index)
	}
	return Op{id, strings.Join(text, "\n"), func(k *kernel) error {
		for _, l := range links {
			delete(k.index, l.Name)
		}
		return k.Delete(indexes...)
	}}
}

// move takes addresses and routes from one interface to another. The new place
// has everything before the old one loses anything: a process that dies in
// between leaves the host reachable, and the rest to its successor.
func move(id, from, to string, addrs []netip.Prefix, routes []link.Route) []Op {
	var ops []Op
	for _, p := range addrs {
		ops = append(ops, on(id, to, fmt.Sprintf("ip addr add %s dev %s", p, to), func(k *kernel, i int) error { return k.AddAddr(i, p) }))
	}
	for _, r := range routes {
		text := "ip route replace " + r.Dst.String()
		if r.Via.IsValid() {
			text += " via " + r.Via.String()
		}
		ops = append(ops, on(id, to, text+" dev "+to, func(k *kernel, i int) error { r.Link = i; return k.ReplaceRoute(r) }))
	}
	for _, p := range addrs {
		ops = append(ops, on(id, from, fmt.Sprintf("ip addr del %s dev %s", p, from), func(k *kernel, i int) error { return k.DeleteAddr(i, p) }))
	}
	return ops
}
