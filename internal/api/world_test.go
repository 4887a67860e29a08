package api_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/api"
	"github.com/weftnet/weft/internal/cloud"
	"github.com/weftnet/weft/internal/ipam"
	"github.com/weftnet/weft/internal/ml2"
	"github.com/weftnet/weft/internal/ml2/mech/linuxbridge"
	"github.com/weftnet/weft/internal/ml2/types/flat"
	"github.com/weftnet/weft/internal/ml2/types/vlan"
	"github.com/weftnet/weft/internal/ml2/types/vxlan"
	"github.com/weftnet/weft/internal/policy"
	"github.com/weftnet/weft/internal/store"
)

// The projects of the world: alice is a member, mia a manager and rob a reader of A,
// bob is a member of B.
const (
	projectA     = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	projectB     = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	projectAdmin = "cccccccccccccccccccccccccccccccc"
	absent       = "00000000-0000-4000-8000-000000000000" // an id that nothing has
)

// callers by token, with the roles that identity implies.
var callers = map[string]*weft.Caller{
	"admin": {UserID: "u-admin", ProjectID: projectAdmin, Roles: []string{"admin", "manager", "member", "reader"}},
	"alice": {UserID: "u-alice", ProjectID: projectA, Roles: []string{"member", "reader"}},
	"mia":   {UserID: "u-mia", ProjectID: projectA, Roles: []string{"manager", "member", "reader"}},
	"rob":   {UserID: "u-rob", ProjectID: projectA, Roles: []string{"reader"}},
	"bob":   {UserID: "u-bob", ProjectID: projectB, Roles: []string{"member", "reader"}},
	"guest": {UserID: "u-guest", Roles: []string{"reader"}}, // no project
}

// world is the Networking API with the real services on a database, empty so far,
// and a host h1 whose agents are alive.
type world struct {
	t   testing.TB
	db  *store.DB
	api http.Handler

	cloud *cloud.Cloud
}

func newWorld(t testing.TB, db *store.DB) *world { return newWorldRuled(t, db, nil) }

// newWorldRuled is a world with an operator's rules.
func newWorldRuled(t testing.TB, db *store.DB, overrides map[string]string) *world {
	t.Helper()
	rules, err := policy.New(overrides)
	if err != nil {
		t.Fatal(err)
	}
	c := testCloud()
	s := api.NewServer(api.Config{Log: slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelError})),
		DB: db, Policy: rules, Quota: c.Quota, AuthURL: "http://keystone:5000/v3", Auth: authenticate})
	if err := c.Prepare(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	c.Register(s)
	w := &world{t: t, db: db, api: s, cloud: c}
	w.agents("h1")
	return w
}

// testCloud is the services, on networks that the tests know.
func testCloud() *cloud.Cloud {
	mtu := ml2.MTU{Global: 1500}
	types := []ml2.Type{flat.New([]string{"*"}, mtu), vlan.New(map[string][]ml2.Range{"provider": {{Min: 100, Max: 199}}, "far": nil}, mtu),
		vxlan.New([]ml2.Range{{Min: 1, Max: 1000}}, mtu)}
	cfg := cloud.Defaults()
	cfg.Core.Draw = aside()
	return cloud.New(cfg, ml2.New(ml2.Config{TenantTypes: []string{weft.TypeVXLAN}, MTU: mtu}, types,
		[]ml2.Mechanism{linuxbridge.New(75 * time.Second)}))
}

// aside chooses other addresses than the tests ask for, which end in less than 120 or
// in 200 and more.
func aside() ipam.Draw {
	var drawn atomic.Uint64
	return func(n uint64) uint64 {
		if n < 200 {
			return drawn.Add(1) % n
		}
		return 120 + drawn.Add(1)%64
	}
}

// Whatever a request holds, decoding it ends with a refusal or a noun, for every
// resource.
func FuzzDecode(f *testing.F) {
	s := api.NewServer(api.Config{})
	testCloud().Register(s)
	f.Add(`{"it":{"network_id":"x","fixed_ips":[{"ip_address":"10.0.0.1"}],"mac_address":null}}`)
	f.Add(`{"it":{"binding:profile":{"a":[1e999]},"extra_dhcp_opts":[{"opt_name":"a","opt_value":1}]}}`)
	for _, text := range api.RequiredSeeds(s) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { api.Decode(t, s, text) })
}

func TestTables(t *testing.T) {
	s := api.NewServer(api.Config{})
	testCloud().Register(s)
	api.CheckTables(t, s)
}

func authenticate(_ context.Context, c weft.Credentials) (*weft.Caller, error) {
	if c := callers[c.Token]; c != nil {
		return c, nil
	}
	return nil, weft.Errorf(weft.Unauthorized, "Unauthorized", "The request you have made requires authentication.")
}

// agents registers the agents of a host, alive.
func (w *world) agents(host string) {
	w.t.Helper()
	beat := time.Now().UTC().Format(time.DateTime)
	add := func(kind, binary, topic string, zone weft.ID, conf map[string]any) *weft.Agent {
		return &weft.Agent{AgentType: kind, Binary: binary, Topic: topic, Host: host, AdminStateUp: true, AvailabilityZone: zone,
			Configurations: conf, Created: beat, StartedAt: beat, Heartbeat: beat}
	}
	list := []*weft.Agent{
		add(weft.AgentLinuxBridge, "neutron-linuxbridge-agent", "N/A", "", map[string]any{
			"interface_mappings": map[string]any{"provider": "eth1"}, "tunnel_types": []any{"vxlan"}, "tunneling_ip": "192.0.2.1"}),
		add(weft.AgentDHCP, "neutron-dhcp-agent", "dhcp_agent", "nova", map[string]any{}),
		add(weft.AgentL3, "neutron-l3-agent", "l3_agent", "nova", map[string]any{"agent_mode": "dvr_snat"}),
	}
	err := w.db.Update(w.t.Context(), weft.SystemCaller("test"), func(tx *store.Tx) error {
		for _, a := range list {
			if err := store.Agents.Insert(tx, a); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// do sends one request as a user; the user nobody has no token.
func (w *world) do(user, method, target, body string, header http.Header) *httptest.ResponseRecorder {
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	rq := httptest.NewRequest(method, "http://net:9696"+target, r)
	for name, values := range header {
		rq.Header[name] = values
	}
	if user != "nobody" {
		rq.Header.Set("X-Auth-Token", user)
	}
	rec := httptest.NewRecorder()
	w.api.ServeHTTP(rec, rq)
	return rec
}

// head is the end of the change log.
func (w *world) head() int64 {
	w.t.Helper()
	n, err := w.db.Read(w.t.Context(), nil).Head()
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// testWriter is the log of a test.
type testWriter struct{ t testing.TB }

func (l testWriter) Write(b []byte) (int, error) {
	l.t.Logf("%s", b)
	return len(b), nil
}
