package api

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/l3"
	"github.com/weftnet/weft/internal/store"
)

// RouterActions are the verbs of routers beyond the usual ones.
func RouterActions(svc *l3.Service) map[string]Action[weft.Router] {
	attach := func(do func(*store.Tx, *weft.Router, string, string) (*l3.Interface, error)) func(*store.Tx, *weft.Router, map[string]any) (any, error) {
		return func(tx *store.Tx, r *weft.Router, body map[string]any) (any, error) {
			subnet, port, err := attachment(body)
			if err != nil {
				return nil, err
			}
			return do(tx, r, subnet, port)
		}
	}
	routes := func(do func(*store.Tx, *weft.Router, []weft.Route) (*weft.Router, error)) func(*store.Tx, *weft.Router, map[string]any) (any, error) {
		return func(tx *store.Tx, r *weft.Router, body map[string]any) (any, error) {
			list, err := routesOf(body)
			if err != nil {
				return nil, err
			}
			return do(tx, r, list)
		}
	}
	return map[string]Action[weft.Router]{
		"add_router_interface":    {Rule: "add_router_interface", Do: attach(svc.AddInterface)},
		"remove_router_interface": {Rule: "remove_router_interface", Do: attach(svc.RemoveInterface)},
		"add_extraroutes":         {Rule: "add_extraroutes", Do: routes(svc.AddExtraRoutes)},
		"remove_extraroutes":      {Rule: "remove_extraroutes", Do: routes(svc.RemoveExtraRoutes)},

		"add_external_gateways":    gateways("add_external_gateways", svc.AddGateways, "network_id", "enable_snat", "external_fixed_ips"),
		"update_external_gateways": gateways("update_external_gateways", svc.UpdateGateways, "network_id", "enable_snat", "external_fixed_ips"),
		"remove_external_gateways": gateways("remove_external_gateways", svc.RemoveGateways),
	}
}

// gateways is a verb about the gateways of a router; the members named have rules of
// their own.
func gateways(name string, do func(*store.Tx, *weft.Router, []*weft.Gateway) (*weft.Router, error), ruled ...string) Action[weft.Router] {
	return Action[weft.Router]{
		Rule: name,
		Rules: func(body map[string]any) []string {
			r, _ := body["router"].(map[string]any)
			list, given := r["external_gateways"]
			if !given {
				return nil
			}
			rules := []string{name + ":external_gateways"}
			for _, member := range memberNames(list) {
				if slices.Contains(ruled, member) {
					rules = append(rules, name+":external_gateways:"+member)
				}
			}
			return rules
		},
		Do: func(tx *store.Tx, r *weft.Router, body map[string]any) (any, error) {
			list, given, err := gatewaysOf(body)
			if err != nil || !given {
				return r, err
			}
			return do(tx, r, list)
		},
	}
}

// gatewaysOf is the gateways of {"router": {"external_gateways": [...]}}; without them
// nothing is asked for.
func gatewaysOf(body map[string]any) (list []*weft.Gateway, given bool, err error) {
	r, ok := body["router"].(map[string]any)
	if !ok {
		return nil, false, badRequest("Unable to find 'router' in request body")
	}
	value, given := r["external_gateways"]
	if !given || value == nil {
		return nil, false, nil
	}
	a := row("external_gateways", "U", Unset, gatewayList)
	v, err := a.accept(value)
	if err != nil {
		return nil, true, err
	}
	for _, e := range v.([]any) {
		g := &weft.Gateway{EnableSNAT: true}
		data, err := json.Marshal(e)
		if err == nil {
			err = json.Unmarshal(data, g)
		}
		if err != nil {
			return nil, true, weft.Invalid("%v", err)
		}
		list = append(list, g)
	}
	return list, true, nil
}

// gatewayList is the gateways of a router, without a QoS policy: that is of the first
// alone, and set with external_gateway_info.
var gatewayList = Type{Name: "list of gateways", Items: maxGateways, Validate: func(v any) string {
	list, ok := v.([]any)
	if !ok {
		return fmt.Sprintf("'%s' is not a list", py(v))
	}
	for _, e := range list {
		m, ok := e.(map[string]any)
		if _, policy := m["qos_policy_id"]; policy {
			return "Unexpected keys supplied: qos_policy_id"
		}
		if !ok {
			return fmt.Sprintf("'%s' is not a dictionary", py(e))
		}
		if reason := gatewayInfo.Validate(m); reason != "" {
			return reason
		}
	}
	return ""
}}

// attachment is the subnet or port that an interface is made of.
func attachment(body map[string]any) (subnet, port string, err error) {
	for name, dest := range map[string]*string{"subnet_id": &subnet, "port_id": &port} {
		v, ok := body[name]
		if !ok || v == nil {
			continue
		}
		if reason := uuidType.Validate(v); reason != "" {
			return "", "", weft.Errorf(weft.BadRequest, "BadRequest", "Bad router request: %s.", reason)
		}
		*dest = v.(string)
	}
	return subnet, port, nil
}

// routesOf is the routes of {"router": {"routes": [...]}}.
func routesOf(body map[string]any) ([]weft.Route, error) {
	r, ok := body["router"].(map[string]any)
	if !ok {
		return nil, badRequest("Unable to find 'router' in request body")
	}
	a := row("routes", "U", Unset, hostRoutes)
	v, err := a.accept(r["routes"])
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var list []weft.Route
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, weft.Invalid("%v", err)
	}
	return list, nil
}
