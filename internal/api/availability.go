package api

import (
	"encoding/json"
	"net/http"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/weftnet/weft/internal/availability"
	"github.com/weftnet/weft/internal/store"
)

// NetworkIPAvailabilities serves how many addresses networks have and how many of them
// are taken. To whom policy does not show them there are none.
func NetworkIPAvailabilities(rq *httpRequest, rest []string) error {
	switch {
	case rq.r.Method != http.MethodGet:
		return notAllowed()
	case len(rest) == 0:
		return rq.listAvailability()
	case len(rest) == 1:
		return rq.showAvailability(rest[0])
	}
	return notFound()
}

const getAvailability = "get_network_ip_availability"

func (rq *httpRequest) showAvailability(id string) error {
	list, err := availability.List(rq.read(), []store.Cond{store.Eq("id", id)}, nil, 0, false)
	switch {
	case err != nil:
		return err
	case !rq.s.Policy.Allow(getAvailability, rq.caller, nil):
		return notFound()
	case len(list) == 0:
		return store.Networks.Missing(id)
	}
	shown, err := rq.fieldsOf(list[0])
	writeJSON(rq.w, http.StatusOK, map[string]any{"network_ip_availability": shown})
	return err
}

// availabilityColumns are what availabilities are filtered by, beside the IP version.
var availabilityColumns = map[string]string{"network_id": "id", "network_name": "name", "tenant_id": "project_id", "project_id": "project_id"}

func (rq *httpRequest) listAvailability() error {
	where, versions, err := rq.availabilityFilters()
	if err != nil {
		return err
	}
	p, err := rq.page()
	if err != nil {
		return err
	}
	if marker := rq.query().Get("marker"); marker != "" && p.limit > 0 {
		p.reverse = strings.EqualFold(rq.query().Get("page_reverse"), "true")
		where = append(where, store.Where(map[bool]string{false: "t.id > ?", true: "t.id < ?"}[p.reverse], marker))
	}
	var list []availability.Network
	if rq.s.Policy.Allow(getAvailability, rq.caller, nil) {
		if list, err = availability.List(rq.read(), where, versions, p.limit, p.reverse); err != nil {
			return err
		}
	}
	out := make([]any, len(list))
	for i, n := range list {
		p.saw(n.NetworkID)
		if out[i], err = rq.fieldsOf(n); err != nil {
			return err
		}
	}
	body := map[string]any{"network_ip_availabilities": out}
	if p.limit > 0 {
		body["network_ip_availabilities_links"] = json.RawMessage(p.links(rq))
	}
	writeJSON(rq.w, http.StatusOK, body)
	return nil
}

func (rq *httpRequest) availabilityFilters() (where []store.Cond, versions []any, err error) {
	var bad []string
	for name, values := range rq.query() {
		column, known := availabilityColumns[name]
		switch {
		case name == "sort_key":
			return nil, nil, badRequest("['%s'] is invalid attribute for sort_keys", values[0])
		case reserved[name]:
		case known:
			where = append(where, store.In(column, store.Strings(values)...))
		case name == "ip_version":
			versions = slices.Concat(versions, versionsOf(values))
		default:
			bad = append(bad, "'"+name+"'")
		}
	}
	if len(bad) > 0 {
		sort.Strings(bad)
		err = badRequest("[%s] is invalid attribute for filtering", strings.Join(bad, ", "))
	}
	return where, versions, err
}

// versionsOf are numbers; what is none stands for a version that there is not.
func versionsOf(values []string) []any {
	out := make([]any, len(values))
	for i, v := range values {
		n, err := strconv.ParseInt(v, 10, 32)
		if err != nil {
			n = -1
		}
		out[i] = n
	}
	return out
}

// fieldsOf is the members of a value that the client asks for.
func (rq *httpRequest) fieldsOf(v any) (any, error) {
	fields := rq.query()["fields"]
	if len(fields) == 0 {
		return v, nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	all, some := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, err
	}
	for _, f := range fields {
		if x, ok := all[f]; ok {
			some[f] = x
		}
	}
	return some, nil
}
