package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/plug"
	"github.com/weftnet/weft/internal/store"
)

// commits is what the database does alone: transactions of one row each.
func (b *bench) commits(ctx context.Context) error {
	db, err := store.Open(ctx, "sqlite:"+filepath.Join(b.dir, fmt.Sprintf("commits%d.db", len(b.results))), store.Options{})
	if err != nil {
		return err
	}
	defer db.Close()
	caller := weft.SystemCaller("bench")
	r, err := b.load("database alone: commits of one row", 1, unlimited, func(i int) error {
		return db.Update(ctx, caller, func(tx *store.Tx) error {
			_, err := tx.Exec("INSERT INTO settings (name, value) VALUES (?, ?)", fmt.Sprint("bench", i), "x")
			return err
		})
	})
	b.add(r)
	return err
}

// start measures a first start, and one on the database it made.
func (b *bench) start(ctx context.Context) error {
	dir := filepath.Join(b.dir, "state")
	for _, what := range []string{"first start to first answer", "start to first answer"} {
		if b.server != nil {
			b.server.stop()
		}
		s, took, err := launch(ctx, b.weft, dir)
		if err != nil {
			return err
		}
		b.server = s
		b.add(result{What: what, Value: float64(took.Microseconds()) / 1000, Unit: "ms", Target: 4200. / 50, Neutron: 4200})
	}
	mib, err := b.server.pss()
	b.add(result{What: "memory, fresh (PSS)", Value: mib, Unit: "MiB", Target: 25, Neutron: 250})
	return err
}

// aim is a line of the table of design targets.
type aim struct{ target, neutron float64 }

func (b *bench) run(what string, clients, count int, a aim, do func(i int) error) error {
	r, err := b.load(what, clients, count, do)
	if err != nil {
		return err
	}
	r.Target, r.Neutron = a.target, a.neutron
	b.add(r)
	return nil
}

// made is what api leaves for the steps after it.
var made struct {
	network, subnet, port string
	subnets               []string
}

func (b *bench) api(context.Context) error {
	s := b.server
	limits := map[string]any{}
	for _, name := range []string{"network", "subnet", "port", "router", "floatingip", "security_group", "security_group_rule", "rbac_policy"} {
		limits[name] = -1
	}
	if _, err := s.send("PUT", "quotas/"+s.project, map[string]any{"quota": limits}); err != nil {
		return err
	}
	for _, step := range []func() error{b.nouns, b.portsAndShows, b.routers} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

const some = 300

func (b *bench) nouns() error {
	s := b.server
	networks := make([]string, some)
	err := b.run("create network", 1, some, aim{960, 9.6}, func(i int) (err error) {
		networks[i], err = s.create("networks", "network", map[string]any{"name": fmt.Sprint("n", i)})
		return err
	})
	if err != nil {
		return err
	}
	made.subnets = make([]string, some)
	err = b.run("create subnet", 1, some, aim{950, 9.5}, func(i int) (err error) {
		made.subnets[i], err = s.create("subnets", "subnet", map[string]any{"network_id": networks[i], "ip_version": 4, "cidr": fmt.Sprintf("10.%d.%d.0/24", 100+i/250, i%250)})
		return err
	})
	if err != nil {
		return err
	}
	group, err := s.create("security-groups", "security_group", map[string]any{"name": "bench"})
	if err != nil {
		return err
	}
	return b.run("create security group rule", 1, some, aim{2400, 24}, func(i int) error {
		_, err := s.create("security-group-rules", "security_group_rule", map[string]any{"security_group_id": group, "direction": "ingress",
			"protocol": "tcp", "port_range_min": 1 + i, "port_range_max": 1 + i})
		return err
	})
}

func (b *bench) portsAndShows() error {
	s := b.server
	var err error
	if made.network, err = s.create("networks", "network", map[string]any{"name": "ports"}); err != nil {
		return err
	}
	made.subnet, err = s.create("subnets", "subnet", map[string]any{"network_id": made.network, "ip_version": 4, "cidr": "10.0.0.0/16"})
	if err != nil {
		return err
	}
	create := func(i int) error {
		id, err := s.create("ports", "port", map[string]any{"network_id": made.network, "name": fmt.Sprint("p", i), "device_id": fmt.Sprint("device", i)})
		if i == 0 {
			made.port = id
		}
		return err
	}
	if err := b.run("create port", 1, 1000, aim{1620, 5.4}, create); err != nil {
		return err
	}
	show := func(int) error { _, err := s.send("GET", "ports/"+made.port, nil); return err }
	if err := b.run("show port", 1, unlimited, aim{6500, 65}, show); err != nil {
		return err
	}
	if err := b.run("show port", 8, unlimited, aim{13900, 139}, show); err != nil {
		return err
	}
	if err := b.list("list 1,000 ports", "ports", aim{4.6, 460}); err != nil {
		return err
	}
	return b.run("create port", 8, max(b.ports-1000, 8), aim{1860, 6.2}, create)
}

// list measures how long a list takes, as the median of twenty.
func (b *bench) list(what, path string, a aim) error {
	r, err := b.load(what, 1, 20, func(int) error { _, err := b.server.send("GET", path, nil); return err })
	if err != nil {
		return err
	}
	b.add(result{What: what, Value: float64(r.P50.Microseconds()) / 1000, Unit: "ms", P50: r.P50, P99: r.P99, CPU: r.CPU, Target: a.target, Neutron: a.neutron})
	return nil
}

func (b *bench) lists(context.Context) error {
	all := fmt.Sprintf("list %d ports", b.ports)
	if err := b.list(all, "ports", aim{45, 4500}); err != nil {
		return err
	}
	if err := b.list(all+": fields=id&limit=100", "ports?fields=id&limit=100", aim{1, 51}); err != nil {
		return err
	}
	return b.list(all+": by device_id", "ports?device_id=device77", aim{1, 20})
}

func (b *bench) routers() error {
	s := b.server
	routers := make([]string, some)
	err := b.run("create router", 1, some, aim{3100, 31}, func(i int) (err error) {
		routers[i], err = s.create("routers", "router", map[string]any{"name": fmt.Sprint("r", i)})
		return err
	})
	if err != nil {
		return err
	}
	// Each interface brings a router to this host; a few show what the API costs.
	const few = 20
	err = b.run("add router interface", 1, few, aim{480, 1.6}, func(i int) error {
		_, err := s.send("PUT", "routers/"+routers[i]+"/add_router_interface", map[string]string{"subnet_id": made.subnets[i]})
		return err
	})
	if err != nil {
		return err
	}
	ext, err := s.create("networks", "network", map[string]any{"name": "ext", "router:external": true,
		"provider:network_type": "flat", "provider:physical_network": "provider"})
	if err != nil {
		return err
	}
	if _, err := s.create("subnets", "subnet", map[string]any{"network_id": ext, "ip_version": 4, "cidr": "203.0.112.0/20", "enable_dhcp": false}); err != nil {
		return err
	}
	return b.run("create floating IP", 1, some, aim{810, 2.7}, func(int) error {
		_, err := s.create("floatingips", "floatingip", map[string]any{"floating_network_id": ext})
		return err
	})
}

func (b *bench) memory(context.Context) error {
	mib, err := b.server.pss()
	b.add(result{What: "memory after the work above (PSS)", Value: mib, Unit: "MiB", Target: 60, Neutron: 600})
	return err
}

// rounds is how many ports are plugged.
const rounds = 50

// firstPackets measures how soon a port works in a new cloud, to ACTIVE and to the
// answer of DHCP. The ports go again: on a host with a member of a group, every port
// that joins the group is work for the agent too, which is not what api measures.
func (b *bench) firstPackets(ctx context.Context) error {
	if err := b.plugOnNew(ctx, "first", "10.8.0.0/24", "in a new cloud", aim{38, 1900}); err != nil {
		return err
	}
	cloud, err := b.server.cloud()
	if err != nil {
		return err
	}
	for i, id := range b.plugs {
		if err := plug.Detach(ctx, plug.Spec{Cloud: cloud, PortID: id, Namespace: fmt.Sprint("bench-first", i)}); err != nil {
			return err
		}
		if _, err := b.server.send("DELETE", "ports/"+id, nil); err != nil {
			return err
		}
	}
	return nil
}

// packets measures the same after all the work, on a host that carries routers, in a
// group with all the ports as members: on a network of its own, and on the large one.
func (b *bench) packets(ctx context.Context) error {
	if err := b.plugOnNew(ctx, "small", "10.9.0.0/24", fmt.Sprintf("beside %d ports", b.ports), aim{}); err != nil {
		return err
	}
	return b.plugAll(ctx, made.network, "large", fmt.Sprintf("on a network of %d ports", b.ports), aim{})
}

func (b *bench) plugOnNew(ctx context.Context, name, cidr, where string, a aim) error {
	network, err := b.server.create("networks", "network", map[string]any{"name": name})
	if err != nil {
		return err
	}
	if _, err := b.server.create("subnets", "subnet", map[string]any{"network_id": network, "ip_version": 4, "cidr": cidr}); err != nil {
		return err
	}
	return b.plugAll(ctx, network, name, where, a)
}

func (b *bench) plugAll(ctx context.Context, network, prefix, where string, a aim) error {
	var active, leased []time.Duration
	for i := range rounds {
		toActive, toLease, err := b.plugged(ctx, network, fmt.Sprint("bench-", prefix, i))
		if err != nil {
			return err
		}
		active, leased = append(active, toActive), append(leased, toLease)
	}
	b.median("POST port to ACTIVE, "+where, active, a)
	b.median("POST port to DHCP answer, "+where, leased, a)
	return nil
}

func (b *bench) median(what string, list []time.Duration, a aim) {
	slices.Sort(list)
	mid := list[len(list)/2]
	b.add(result{What: what + fmt.Sprintf(": median of %d", len(list)), Value: float64(mid.Microseconds()) / 1000, Unit: "ms",
		P50: mid, P99: list[len(list)*99/100], Target: a.target, Neutron: a.neutron})
}

func (b *bench) plugged(ctx context.Context, network, ns string) (active, leased time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	begin := time.Now()
	var made1 struct{ Port weft.Port }
	err = b.server.call("POST", "ports", map[string]any{"port": map[string]any{"network_id": network, "binding:host_id": "bench", "device_owner": "compute:bench"}}, &made1)
	if err != nil {
		return 0, 0, err
	}
	p := made1.Port
	b.plugs = append(b.plugs, p.ID)
	cloud, err := b.server.cloud()
	if err != nil {
		return 0, 0, err
	}
	if err := plug.Attach(ctx, plug.Spec{Cloud: cloud, PortID: p.ID, MAC: p.MAC, MTU: 1450, Namespace: ns}); err != nil {
		return 0, 0, err
	}
	for p.Status != weft.StatusActive {
		if err := b.server.call("GET", "ports/"+p.ID, nil, &made1); err != nil {
			return 0, 0, err
		}
		if p = made1.Port; ctx.Err() != nil {
			return 0, 0, fmt.Errorf("port %s is %s", p.ID, p.Status)
		}
	}
	active = time.Since(begin)
	_, err = plug.DHCP(ctx, ns, "eth0")
	return active, time.Since(begin), err
}
