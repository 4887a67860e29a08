package api

import (
	"errors"
	"testing"

	"github.com/weftnet/weft"
)

func TestDecodeRefuses(t *testing.T) {
	ports := newSchema(Ports(nil, nil).Attrs)
	const net = `"network_id":"0f7a1b0e-6c43-4c9e-a2a5-1f1c1f1c1f1c"`
	for _, c := range []struct{ body, typ, message string }{
		{`{`, "HTTPBadRequest", "Body contains invalid data"},
		{`[]`, "HTTPBadRequest", "Body contains invalid data"},
		{`{"x":{}}`, "HTTPBadRequest", "Unable to find 'port' in request body"},
		{`{"ports":[]}`, "HTTPBadRequest", "Resources required"},
		{`{"port":{}}`, "HTTPBadRequest", "Failed to parse request. Required attribute 'network_id' not specified"},
		{`{"port":{` + net + `,"foo":1,"bar":2}}`, "HTTPBadRequest", "Unrecognized attribute(s) 'bar, foo'"},
		{`{"port":{` + net + `,"status":"ACTIVE"}}`, "HTTPBadRequest", "Attribute 'status' not allowed in POST"},
		{`{"port":{` + net + `,"admin_state_up":"maybe"}}`, "InvalidInput", "Invalid input for operation: 'maybe' cannot be converted to boolean."},
		{`{"port":{"network_id":"x"}}`, "HTTPBadRequest", "Invalid input for network_id. Reason: 'x' is not a valid UUID."},
		{`{"port":{` + net + `,"name":7}}`, "HTTPBadRequest", "Invalid input for name. Reason: '7' is not a valid string."},
		{`{"port":{` + net + `,"mac_address":"ff:ff:ff:ff:ff:ff"}}`, "HTTPBadRequest", "Invalid input for mac_address. Reason: 'ff:ff:ff:ff:ff:ff' is not a valid MAC address."},
		{`{"port":{` + net + `,"fixed_ips":[{"ip_address":"10.0.0.1"},{"ip_address":"10.0.0.1"}]}}`, "HTTPBadRequest", "Invalid input for fixed_ips. Reason: Duplicate IP address '10.0.0.1'."},
		{`{"port":{` + net + `,"tenant_id":"a","project_id":"b"}}`, "HTTPBadRequest", "'project_id' and 'tenant_id' do not match"},
		{`{"port":{` + net + `,"binding:vnic_type":"x"}}`, "HTTPBadRequest", "Invalid input for binding:vnic_type. Reason: x is not in valid_values."},
	} {
		body, err := parseBody([]byte(c.body))
		if err == nil {
			var list []map[string]any
			if list, _, err = objects(body, "port", "ports"); err == nil {
				_, _, err = ports.create(list[0], &weft.Caller{ProjectID: "p"})
			}
		}
		var e *weft.Error
		if !errors.As(err, &e) || e.Type != c.typ || e.Message != c.message {
			t.Errorf("%s\n got %v\nwant %s: %s", c.body, err, c.typ, c.message)
		}
	}
}
