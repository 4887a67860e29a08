package api

import (
	"encoding/json"

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
	}
}

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
