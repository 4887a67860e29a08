package nova

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// The names of events.
const (
	plugged   = "network-vif-plugged"
	unplugged = "network-vif-unplugged"
	deleted   = "network-vif-deleted"
	changed   = "network-changed"
)

// event is something that Nova is told, in Nova's form.
type event struct {
	Name   string `json:"name"`
	Server string `json:"server_uuid"`
	Tag    string `json:"tag"`              // the port
	Status string `json:"status,omitempty"` // "completed", "failed"
}

// nouns are those whose changes Nova may be told of.
var nouns = []string{"ports", "floatingips", "port_bindings"}

// teller makes events of changes.
type teller struct {
	statuses, data bool
	port           func(id string) (*weft.Port, error) // as it is now; nil if it is gone
}

// events are those of one entry of the log.
func (t teller) events(c store.Change) ([]event, error) {
	switch c.Noun {
	case "ports":
		return ofPort(t, c)
	case "floatingips":
		return ofFloatingIP(t, c)
	case "port_bindings":
		return ofBinding(t, c)
	}
	return nil, nil
}

// decode reads both documents of a change. What is not there is a zero value.
func decode[T any](c store.Change) (before, after T, err error) {
	for doc, into := range map[*[]byte]*T{&c.Before: &before, &c.After: &after} {
		if *doc == nil {
			continue
		}
		if err := json.Unmarshal(*doc, into); err != nil {
			return before, after, &unreadableError{c, err}
		}
	}
	return before, after, nil
}

// unreadableError is about an entry of the log that cannot be understood.
type unreadableError struct {
	change store.Change
	err    error
}

func (e *unreadableError) Error() string {
	return fmt.Sprintf("reading entry %d of the change log, %s %s: %v", e.change.Seq, e.change.Noun, e.change.ID, e.err)
}

func ofPort(t teller, c store.Change) ([]event, error) {
	before, after, err := decode[weft.Port](c)
	if err != nil {
		return nil, err
	}
	if c.Op == store.OpDelete {
		return about(&before, t.data, event{Name: deleted}), nil
	}
	out := about(&after, t.statuses, ofStatus(before.Status, after.Status))
	if c.Op == store.OpUpdate && differs(before, after) {
		out = append(out, about(&after, t.data, event{Name: changed})...)
	}
	return out, nil
}

// ofStatus is the event of a change of status, without a name if it is none.
func ofStatus(before, after string) event {
	was := before == weft.StatusActive
	switch {
	case was && after == weft.StatusDown:
		return event{Name: unplugged, Status: "completed"}
	case (before == "" || before == weft.StatusDown || before == weft.StatusBuild) && after == weft.StatusActive:
		return event{Name: plugged, Status: "completed"}
	case (before == "" || before == weft.StatusDown || before == weft.StatusBuild) && after == weft.StatusError:
		return event{Name: plugged, Status: "failed"}
	}
	return event{}
}

// about is the event as one of the port, if that is one of a server's.
func about(p *weft.Port, wanted bool, e event) []event {
	if !wanted || e.Name == "" || !strings.HasPrefix(p.DeviceOwner, "compute:") {
		return nil
	}
	server, err := uuid.Parse(p.DeviceID)
	if err != nil {
		return nil
	}
	e.Server, e.Tag = server.String(), p.ID
	return []event{e}
}

// differs reports whether somebody has changed something, other than an agent the
// status.
func differs[T weft.Port | weft.FloatingIP](before, after T) bool {
	return !reflect.DeepEqual(chosen(before), chosen(after))
}

// chosen is a noun without what changes by itself.
func chosen(noun any) any {
	switch n := noun.(type) {
	case weft.Port:
		n.Status, n.Meta, n.BoundRevision = "", weft.Meta{}, 0
		return n
	case weft.FloatingIP:
		n.Status, n.Meta = "", weft.Meta{}
		return n
	}
	return noun
}

// ofFloatingIP is a change of the server that has it, and of the one that had it.
func ofFloatingIP(t teller, c store.Change) ([]event, error) {
	before, after, err := decode[weft.FloatingIP](c)
	if err != nil || !t.data || c.Op == store.OpUpdate && !differs(before, after) {
		return nil, err
	}
	var out []event
	for _, id := range []weft.ID{before.PortID, after.PortID} {
		if id == "" || len(out) > 0 && out[0].Tag == string(id) {
			continue
		}
		p, err := t.port(string(id))
		if err != nil {
			return nil, err
		}
		if p != nil {
			out = append(out, about(p, true, event{Name: changed})...)
		}
	}
	return out, nil
}

// ofBinding tells that a server that moves is expected where it is to go.
func ofBinding(t teller, c store.Change) ([]event, error) {
	before, after, err := decode[weft.PortBinding](c)
	if err != nil || before.Wired || !after.Wired {
		return nil, err
	}
	p, err := t.port(after.PortID)
	if err != nil || p == nil {
		return nil, err
	}
	return about(p, t.statuses, event{Name: plugged, Status: "completed"}), nil
}

// urgent reports whether somebody waits for the event.
func (e event) urgent() bool { return e.Name == plugged }

// pause is how long events may wait for more to come.
func pause(interval time.Duration, events []event) time.Duration {
	for _, e := range events {
		if e.urgent() {
			return interval / 10
		}
	}
	return interval
}

// add appends an event, unless the last of its port is the same: Nova asks for what is
// anyway, so to be told once is enough.
func add(list []event, e event) []event {
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].Tag == e.Tag && list[i].Server == e.Server {
			if list[i] == e {
				return list
			}
			break
		}
	}
	return append(list, e)
}
