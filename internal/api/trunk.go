package api

import (
	"fmt"
	"net/http"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
	"github.com/weftnet/weft/internal/trunk"
)

// Trunks is the table of trunks.
func Trunks(svc *trunk.Service) *Resource[weft.Trunk] {
	return &Resource[weft.Trunk]{
		Singular: "trunk", Plural: "trunks", Table: store.Trunks,
		Implements: []string{"trunk", "trunk-details"},
		Attrs: table(ident(), standard(), tagged(), ext("trunk",
			row("name", "CUVFS", "", text(255)),
			row("port_id", "CVFSR", Unset, uuidType),
			row("admin_state_up", "CUVFS", true, boolean),
			row("status", "VS", Unset, text(16)),
			row("sub_ports", "CV", []any{}, subPorts))),
		Create: func(tx *store.Tx, t *weft.Trunk, rq Request) error {
			return svc.CreateTrunk(tx, t, subPortRequests(rq.Values["sub_ports"]))
		},
		Update: func(tx *store.Tx, _, t *weft.Trunk, _ Request) error { return svc.UpdateTrunk(tx, t) },
		Delete: svc.DeleteTrunk,
		Actions: map[string]Action[weft.Trunk]{
			"get_subports": {Rule: "get_subports", Method: http.MethodGet, Do: func(_ *store.Tx, t *weft.Trunk, _ map[string]any) (any, error) {
				return map[string]any{"sub_ports": t.SubPorts}, nil
			}},
			"add_subports":    {Rule: "add_subports", Do: addSubPorts(svc)},
			"remove_subports": {Rule: "remove_subports", Do: removeSubPorts(svc)},
		},
	}
}

// The actions show the trunk itself, in no wrapper.

func addSubPorts(svc *trunk.Service) func(*store.Tx, *weft.Trunk, map[string]any) (any, error) {
	return func(tx *store.Tx, t *weft.Trunk, body map[string]any) (any, error) {
		asked, err := acceptSubPorts(body)
		if err != nil {
			return nil, err
		}
		err = svc.AddSubPorts(tx, t, asked)
		return *t, err
	}
}

func removeSubPorts(svc *trunk.Service) func(*store.Tx, *weft.Trunk, map[string]any) (any, error) {
	return func(tx *store.Tx, t *weft.Trunk, body map[string]any) (any, error) {
		if err := svc.Manageable(t); err != nil {
			return nil, err
		}
		asked, err := acceptSubPorts(body)
		if err != nil {
			return nil, err
		}
		ids := make([]string, len(asked))
		for i, a := range asked {
			ids[i] = a.PortID
		}
		err = svc.RemoveSubPorts(tx, t, ids)
		return *t, err
	}
}

// subPortRequests reads a list of subports that has been accepted.
func subPortRequests(v any) []trunk.SubPortRequest {
	list, _ := v.([]any)
	out := make([]trunk.SubPortRequest, 0, len(list))
	for _, e := range list {
		m, _ := e.(map[string]any)
		a := trunk.SubPortRequest{Text: py(m)}
		a.PortID, _ = m["port_id"].(string)
		a.Type, _ = m["segmentation_type"].(string)
		if n, ok := m["segmentation_id"].(int64); ok {
			a.ID = &n
		}
		out = append(out, a)
	}
	return out
}

// acceptSubPorts checks the list in the body of an action, whose errors differ from
// those of an attribute.
func acceptSubPorts(body map[string]any) ([]trunk.SubPortRequest, error) {
	v, reason, err := subPorts.accept(body["sub_ports"])
	if reason != "" {
		err = weft.Invalid("%s", reason)
	}
	return subPortRequests(v), err
}

// numberTags makes integers of the tags that can be.
func numberTags(v any) (any, error) {
	list, _ := v.([]any)
	for _, e := range list {
		m, _ := e.(map[string]any)
		id := m["segmentation_id"]
		if id == nil {
			continue
		}
		n, err := toInt(id)
		if err != nil {
			return nil, weft.Invalid("Invalid subport details: segmentation_id '%s' is not an integer", py(id))
		}
		m["segmentation_id"] = n
	}
	return v, nil
}

var subPorts = Type{Name: "list of subports", Items: maxSubPorts, Convert: numberTags, Validate: func(v any) string {
	list, ok := v.([]any)
	if !ok {
		return fmt.Sprintf("Invalid data format for subports: '%s' is not a list", py(v))
	}
	ids, tags := map[string]bool{}, map[string]bool{}
	for _, e := range list {
		if reason := subPort(e, ids, tags); reason != "" {
			return reason
		}
	}
	return ""
}}

// subPort checks one subport against those before it. The tag may be left out
// altogether here: removing a subport needs none.
func subPort(v any, ids, tags map[string]bool) string {
	m, ok := v.(map[string]any)
	if !ok {
		return fmt.Sprintf("Invalid data format for subport: '%s' is not a dict", py(v))
	}
	id, named := m["port_id"]
	port, _ := id.(string)
	switch {
	case !named:
		return "A valid port UUID must be specified"
	case !validUUID(id):
		return fmt.Sprintf("Invalid UUID for subport: '%s'", py(id))
	case ids[port]:
		return fmt.Sprintf("Non unique UUID for subport: '%s'", port)
	}
	ids[port] = true
	kind, number := m["segmentation_type"], m["segmentation_id"]
	if kind == "inherit" {
		return ""
	}
	if (kind == nil || kind == "" || number == nil) && len(m) > 1 {
		return fmt.Sprintf("Invalid subport details '%s': missing segmentation information. Must specify both segmentation_id and segmentation_type", py(m))
	}
	tag := py(kind) + " " + py(number)
	if number != nil && tags[tag] {
		return fmt.Sprintf("Segmentation ID '%s' for '%s' is not unique", py(number), port)
	}
	tags[tag] = true
	return ""
}
