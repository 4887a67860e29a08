package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"
)

// thing is what the ledger knows of one thing in the cloud.
type thing struct {
	collection, noun, id string
	name                 string
	state                state
	network              *thing // it is on
}

type state int

const (
	there   state = iota // acknowledged, with that name
	unnamed              // there, but the answer to a change of its name was lost
	unsure               // the answer to its deletion was lost
	away                 // its deletion was acknowledged
)

// ledger makes, renames and deletes things and writes down what was acknowledged.
type ledger struct {
	c            *cloud
	user         *user
	random       *rand.Rand
	things       []*thing
	made         int
	acknowledged int
}

func newLedger(c *cloud, random *rand.Rand) *ledger {
	return &ledger{c: c, user: c.login("weft"), random: random}
}

// keep goes on until there has been enough.
func (l *ledger) keep(enough <-chan struct{}) {
	for {
		select {
		case <-enough:
			return
		case <-time.After(time.Duration(l.random.IntN(10)) * time.Millisecond):
		}
		l.step()
	}
}

func (l *ledger) step() {
	networks, ports := l.with("networks"), l.with("ports")
	switch n := l.random.IntN(100); {
	case len(networks) < 3 || n < 2 && len(networks) < 12:
		l.network()
	case n < 40 && len(ports) < 200:
		on := networks[l.random.IntN(len(networks))]
		l.create(&thing{collection: "ports", noun: "port", network: on}, `"network_id":"`+on.id+`"`)
	case n < 45 && len(l.with("routers")) < 10:
		l.create(&thing{collection: "routers", noun: "router"}, "")
	case n < 50 && len(l.with("security-groups")) < 20:
		l.create(&thing{collection: "security-groups", noun: "security_group"}, "")
	case n < 75:
		l.rename(l.things[l.random.IntN(len(l.things))])
	case len(ports) > 0:
		l.remove(ports[l.random.IntN(len(ports))])
	}
}

// with is the things of a kind that are there for sure.
func (l *ledger) with(collection string) (out []*thing) {
	for _, t := range l.things {
		if t.collection == collection && (t.state == there || t.state == unnamed) {
			out = append(out, t)
		}
	}
	return out
}

// network makes a network with a subnet; every other one has DHCP and so something
// on the host. One without a subnet is no use for ports and not written down.
func (l *ledger) network() {
	n := &thing{collection: "networks", noun: "network"}
	if !l.create(n, "") {
		return
	}
	cidr := fmt.Sprintf("10.%d.%d.0/24", 100+l.made/256%100, l.made%256)
	s := &thing{collection: "subnets", noun: "subnet", network: n}
	for !l.create(s, fmt.Sprintf(`"network_id":%q,"cidr":%q,"ip_version":4,"enable_dhcp":%t`, n.id, cidr, l.made%4 < 2)) {
		time.Sleep(20 * time.Millisecond) // the subnet may be there unacknowledged: the next one does not overlap
		l.made++
		cidr = fmt.Sprintf("10.%d.%d.0/24", 100+l.made/256%100, l.made%256)
	}
}

// send sends a request. No answer is an answer, too: ok is false, as it must not
// be for any other reason.
func (l *ledger) send(method, path, body string, want int) (out []byte, ok bool) {
	res, err := l.user.do(method, "/v2.0/"+path, body)
	if err != nil {
		time.Sleep(5 * time.Millisecond) // it is down just now
		return nil, false
	}
	if res.status != want {
		l.c.t.Errorf("%s %s: status %d: %s", method, path, res.status, res.body)
		return nil, false
	}
	l.acknowledged++
	return res.body, true
}

func (l *ledger) create(t *thing, attributes string) bool {
	l.made++
	t.name = fmt.Sprintf("thing%d", l.made)
	body := fmt.Sprintf(`{%q:{"name":%q`, t.noun, t.name)
	if attributes != "" {
		body += "," + attributes
	}
	out, ok := l.send(http.MethodPost, t.collection, body+"}}", http.StatusCreated)
	if !ok {
		return false
	}
	var made map[string]struct{ ID string }
	if err := json.Unmarshal(out, &made); err != nil {
		l.c.t.Error(err)
		return false
	}
	t.id = made[t.noun].ID
	l.things = append(l.things, t)
	return true
}

func (l *ledger) rename(t *thing) {
	if t.state > unnamed {
		return
	}
	l.made++
	name := fmt.Sprintf("renamed%d", l.made)
	if _, ok := l.send(http.MethodPut, t.collection+"/"+t.id, fmt.Sprintf(`{%q:{"name":%q}}`, t.noun, name), http.StatusOK); ok {
		t.name, t.state = name, there
	} else {
		t.state = unnamed
	}
}

func (l *ledger) remove(t *thing) {
	if _, ok := l.send(http.MethodDelete, t.collection+"/"+t.id, "", http.StatusNoContent); ok {
		t.state = away
	} else {
		t.state = unsure
	}
}

// check compares the ledger with the cloud.
func (l *ledger) check() {
	l.c.t.Helper()
	counts := map[state]int{}
	for _, t := range l.things {
		counts[t.state]++
		res, err := l.user.do(http.MethodGet, "/v2.0/"+t.collection+"/"+t.id, "")
		if err != nil {
			l.c.t.Fatal(err)
		}
		var found map[string]struct{ Name string }
		json.Unmarshal(res.body, &found)
		switch {
		case t.state <= unnamed && res.status != http.StatusOK:
			l.c.t.Errorf("%s %s was acknowledged and is gone: %s", t.noun, t.id, res.body)
		case t.state == there && found[t.noun].Name != t.name:
			l.c.t.Errorf("%s %s is named %q, acknowledged was %q", t.noun, t.id, found[t.noun].Name, t.name)
		case t.state == away && res.status != http.StatusNotFound:
			l.c.t.Errorf("%s %s was deleted and is there: %s", t.noun, t.id, res.body)
		}
	}
	l.c.t.Logf("things: %d there, %d with a name unknown, %d unsure, %d deleted", counts[there], counts[unnamed], counts[unsure], counts[away])
}
