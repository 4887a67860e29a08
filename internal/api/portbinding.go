package api

import (
	"net/http"
	"slices"
	"sort"
	"strings"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// PortBindingService is what the API asks of the bindings of ports.
type PortBindingService interface {
	Bindings(tx *store.Tx, p *weft.Port) ([]*weft.PortBinding, error)
	Binding(tx *store.Tx, p *weft.Port, host string) (*weft.PortBinding, error)
	CreateBinding(tx *store.Tx, p *weft.Port, b *weft.PortBinding) error
	UpdateBinding(tx *store.Tx, p *weft.Port, host string, b *weft.PortBinding) error
	ActivateBinding(tx *store.Tx, p *weft.Port, host string) (*weft.PortBinding, error)
	DeleteBinding(tx *store.Tx, p *weft.Port, host string) error
}

// portBindings serves /ports/{id}/bindings. They are no resource like others: one
// of them is the port itself.
type portBindings struct {
	svc    PortBindingService
	schema *schema
}

func newPortBindings(svc PortBindingService) *portBindings {
	return &portBindings{svc, newSchema(ext("binding-extended",
		row("host", "CUVFR", Unset, text(255)),
		row("vif_type", "VF", Unset, text(64)),
		row("vif_details", "V", Unset, anyType),
		row("vnic_type", "CUVF", "normal", vnicType),
		row("profile", "CUV", map[string]any{}, dict),
		row("status", "VF", Unset, text(16)),
		row("project_id", "C", Unset, text(255)),
		row("tenant_id", "C", Unset, text(255))))}
}

var vnicType = oneOf("normal", "direct", "macvtap", "baremetal", "direct-physical",
	"virtio-forwarder", "smart-nic", "vdpa", "accelerator-direct", "accelerator-direct-physical", "remote-managed")

func (h *portBindings) serve(rq *httpRequest, portID string, rest []string) error {
	method := rq.r.Method
	switch {
	case len(rest) == 0 && method == http.MethodGet:
		return h.list(rq, portID)
	case len(rest) == 0 && method == http.MethodPost:
		return h.create(rq, portID)
	case len(rest) == 1 && method == http.MethodGet:
		return h.show(rq, portID, rest[0])
	case len(rest) == 1 && method == http.MethodPut:
		return h.update(rq, portID, rest[0])
	case len(rest) == 1 && method == http.MethodDelete:
		return h.delete(rq, portID, rest[0])
	case len(rest) == 2 && rest[1] == "activate" && method == http.MethodPut:
		return h.activate(rq, portID, rest[0])
	case len(rest) < 2 || len(rest) == 2 && rest[1] == "activate":
		return notAllowed()
	}
	return notFound()
}

// port is the port if the caller can see it and the rule admits them.
func (h *portBindings) port(rq *httpRequest, tx *store.Tx, id, rule string) (*weft.Port, error) {
	p, err := store.Ports.GetVisible(tx, id)
	if err != nil {
		return nil, err
	}
	return p, rq.allow(rule)
}

func (h *portBindings) list(rq *httpRequest, portID string) error {
	p, err := h.port(rq, rq.read(), portID, "get_port_binding")
	if err != nil {
		return err
	}
	all, err := h.svc.Bindings(rq.read(), p)
	if err != nil {
		return err
	}
	if err := h.checkFilters(rq); err != nil {
		return err
	}
	out := []any{}
	for _, b := range all {
		if h.matches(rq, b) {
			out = append(out, h.doc(rq, b))
		}
	}
	writeJSON(rq.w, http.StatusOK, map[string]any{"bindings": out})
	return nil
}

func (h *portBindings) checkFilters(rq *httpRequest) error {
	var bad []string
	for name := range rq.query() {
		if a := h.schema.byName[name]; !reserved[name] && (a == nil || !a.Filter) {
			bad = append(bad, "'"+name+"'")
		}
	}
	if len(bad) == 0 {
		return nil
	}
	sort.Strings(bad)
	return badRequest("[%s] is invalid attribute for filtering", strings.Join(bad, ", "))
}

func (h *portBindings) matches(rq *httpRequest, b *weft.PortBinding) bool {
	return rq.matches("host", b.Host) && rq.matches("vif_type", b.VIFType) && rq.matches("vnic_type", b.VNICType) && rq.matches("status", b.Status)
}

// doc is a binding as it is shown.
func (h *portBindings) doc(rq *httpRequest, b *weft.PortBinding) map[string]any {
	out := map[string]any{"host": b.Host, "vif_type": b.VIFType, "vif_details": b.VIFDetails, "vnic_type": b.VNICType, "profile": b.Profile, "status": b.Status}
	if fields := rq.query()["fields"]; len(fields) > 0 {
		for name := range out {
			if !slices.Contains(fields, name) {
				delete(out, name)
			}
		}
	}
	return out
}

func (h *portBindings) answer(rq *httpRequest, status int, b *weft.PortBinding) error {
	writeJSON(rq.w, status, map[string]any{"binding": h.doc(rq, b)})
	return nil
}

func (h *portBindings) show(rq *httpRequest, portID, host string) error {
	p, err := h.port(rq, rq.read(), portID, "get_port_binding")
	if err != nil {
		return err
	}
	b, err := h.svc.Binding(rq.read(), p, host)
	if err != nil {
		return err
	}
	return h.answer(rq, http.StatusOK, b)
}

// body is the binding in the body of a request.
func (h *portBindings) body(rq *httpRequest) (map[string]any, error) {
	body, err := rq.readBody("create_port_binding")
	if err != nil {
		return nil, err
	}
	list, bulk, err := objects(body, "binding", "bindings")
	if err != nil {
		return nil, err
	}
	if bulk {
		return nil, badRequest("Bulk operation not supported")
	}
	return list[0], nil
}

func (h *portBindings) create(rq *httpRequest, portID string) error {
	in, err := h.body(rq)
	if err != nil {
		return err
	}
	values, _, err := h.schema.create(in, rq.caller)
	if err != nil {
		return err
	}
	b := &weft.PortBinding{}
	if err := overlay(b, values); err != nil {
		return err
	}
	err = rq.update(func(tx *store.Tx) error {
		p, err := h.port(rq, tx, portID, "create_port_binding")
		if err != nil {
			return err
		}
		return h.svc.CreateBinding(tx, p, b)
	})
	if err != nil {
		return err
	}
	return h.answer(rq, http.StatusCreated, b)
}

// update empties a profile that the request does not name, as Neutron does.
func (h *portBindings) update(rq *httpRequest, portID, host string) error {
	in, err := h.body(rq)
	if err != nil {
		return err
	}
	values, given, err := h.schema.update(in)
	if err != nil {
		return err
	}
	if !given["profile"] {
		values["profile"] = map[string]any{}
	}
	var b *weft.PortBinding
	err = rq.update(func(tx *store.Tx) error {
		p, err := h.port(rq, tx, portID, "create_port_binding")
		if err != nil {
			return err
		}
		if b, err = h.svc.Binding(tx, p, host); err != nil {
			return err
		}
		b = weft.Clone(b)
		if err := overlay(b, values); err != nil {
			return err
		}
		return h.svc.UpdateBinding(tx, p, host, b)
	})
	if err != nil {
		return err
	}
	return h.answer(rq, http.StatusOK, b)
}

func (h *portBindings) activate(rq *httpRequest, portID, host string) error {
	var b *weft.PortBinding
	err := rq.update(func(tx *store.Tx) error {
		p, err := h.port(rq, tx, portID, "activate")
		if err != nil {
			return err
		}
		b, err = h.svc.ActivateBinding(tx, p, host)
		return err
	})
	if err != nil {
		return err
	}
	return h.answer(rq, http.StatusOK, b)
}

func (h *portBindings) delete(rq *httpRequest, portID, host string) error {
	err := rq.update(func(tx *store.Tx) error {
		p, err := h.port(rq, tx, portID, "delete_port_binding")
		if err != nil {
			return err
		}
		return h.svc.DeleteBinding(tx, p, host)
	})
	if err == nil {
		rq.w.WriteHeader(http.StatusNoContent)
	}
	return err
}
