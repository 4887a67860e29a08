package placement_test

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/needs"
	"github.com/weftnet/weft/internal/peer"
	"github.com/weftnet/weft/internal/placement"
	"github.com/weftnet/weft/internal/placement/tree"
	"github.com/weftnet/weft/internal/store/storetest"
)

// startup is how long Placement may take to begin.
const startup = 2 * time.Minute

// real starts Debian's Placement on a database of its own, and a Keystone of few words;
// writes counts the requests that change something.
func real(t *testing.T) (service *peer.Service, writes *atomic.Int64) {
	needs.Programs(t, "placement-api")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "placement.conf"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	cmd := exec.Command("placement-api", "--host", "127.0.0.1", "--port", port)
	cmd.Env = append(os.Environ(), "OS_PLACEMENT_CONFIG_DIR="+dir, "OS_API__AUTH_STRATEGY=noauth2",
		"OS_PLACEMENT_DATABASE__SYNC_ON_STARTUP=True",
		"OS_PLACEMENT_DATABASE__CONNECTION=sqlite:///"+filepath.Join(dir, "placement.db"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	base := "http://127.0.0.1:" + port
	for deadline := time.Now().Add(startup); ; time.Sleep(100 * time.Millisecond) {
		res, err := http.Get(base)
		if err == nil {
			res.Body.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("Placement has not begun: %v", err)
		}
	}
	writes = new(atomic.Int64)
	between := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			writes.Add(1)
		}
		forward(t, base, w, r)
	}))
	t.Cleanup(between.Close)
	keystone := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Subject-Token", "admin") // whose token it is, as noauth2 has it
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"token": {"catalog": [{"type": "placement",
			"endpoints": [{"interface": "public", "region": "one", "url": %q}]}]}}`, between.URL)
	}))
	t.Cleanup(keystone.Close)
	session, err := peer.NewSession(peer.Config{URL: keystone.URL, Timeout: startup})
	if err != nil {
		t.Fatal(err)
	}
	return session.Service(peer.Where{Type: "placement", Region: "one", Interfaces: []string{"public"}}), writes
}

func forward(t *testing.T, base string, w http.ResponseWriter, r *http.Request) {
	rq, err := http.NewRequest(r.Method, base+r.URL.RequestURI(), r.Body)
	if err != nil {
		t.Error(err)
		return
	}
	rq.Header, rq.ContentLength = r.Header, r.ContentLength
	res, err := http.DefaultClient.Do(rq)
	if err != nil {
		t.Error(err)
		return
	}
	defer res.Body.Close()
	for k, v := range res.Header {
		w.Header()[k] = v
	}
	w.WriteHeader(res.StatusCode)
	io.Copy(w, res.Body)
}

// Debian's Placement takes what weft tells it, and says that it has it.
func TestRealPlacement(t *testing.T) {
	service, writes := real(t)
	ask := func(method, path string, body any) *peer.Answer {
		t.Helper()
		a, err := service.Do(t.Context(), peer.Request{Method: method, Path: path, Body: body,
			Header: map[string]string{"OpenStack-API-Version": "placement 1.37"}})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	ask("POST", "/resource_providers", map[string]any{"uuid": hypervisor, "name": "hv1"})
	w := &world{t: t, db: storetest.DB(t)}
	w.report(1000, 2000)
	api := placement.New(slog.New(slog.DiscardHandler), service)
	sync := func(changes bool) {
		t.Helper()
		before := writes.Load()
		s := placement.NewSyncer(placement.Config{Log: slog.New(slog.DiscardHandler), DB: w.db, API: api, Kinds: []tree.Kind{kind}})
		if err := s.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		if changed := writes.Load() > before; changed != changes {
			t.Errorf("%d requests that change something", writes.Load()-before)
		}
	}
	sync(true)
	sync(false) // a server that knows nothing finds all right
	made, err := w.db.Read(t.Context(), nil).ResourceProviders()
	if err != nil || len(made) != 2 {
		t.Fatalf("made %v, %v", made, err)
	}
	device := made[0].UUID

	// Nova finds room by the traits and the classes of a port's request.
	find := func(egress int) string {
		return string(ask("GET", fmt.Sprintf("/allocation_candidates?required1=CUSTOM_PHYSNET_PROVIDER,CUSTOM_VNIC_TYPE_NORMAL"+
			"&resources1=NET_BW_EGR_KILOBIT_PER_SEC:%d", egress), nil).Body)
	}
	if got := find(600); !strings.Contains(got, device) {
		t.Errorf("no candidate: %s", got)
	}
	const one, two = "0d0d0d0d-0000-4000-8000-000000000001", "0d0d0d0d-0000-4000-8000-000000000002"
	for server, n := range map[string]int{one: 600, two: 300} {
		ask("PUT", "/allocations/"+server, map[string]any{"project_id": "p", "user_id": "u", "consumer_generation": nil,
			"allocations": map[string]any{device: map[string]any{"resources": map[string]any{"NET_BW_EGR_KILOBIT_PER_SEC": n}}}})
	}
	if got := find(600); strings.Contains(got, device) {
		t.Errorf("a candidate for what does not fit: %s", got)
	}
	more := func(n int64) map[string]map[string]int64 {
		return map[string]map[string]int64{device: {"NET_BW_EGR_KILOBIT_PER_SEC": n}}
	}
	if err := api.Reallocate(t.Context(), "", one, more(100)); err != nil {
		t.Error(err)
	}
	if err := api.Reallocate(t.Context(), "", one, more(1)); !weft.IsType(err, "QosPlacementAllocationUpdateConflict") {
		t.Errorf("too much: %v", err)
	}
	for server, n := range map[string]int64{one: -700, two: -300} {
		if err := api.Reallocate(t.Context(), "", server, more(n)); err != nil {
			t.Error(err)
		}
	}
	if err := api.Reallocate(t.Context(), "", one, more(1)); !weft.IsType(err, "PlacementAllocationRemoved") {
		t.Errorf("of nothing: %v", err)
	}
	w.reports(map[string]any{})
	sync(true)
	if left := string(ask("GET", "/resource_providers", nil).Body); strings.Contains(left, device) ||
		!strings.Contains(left, hypervisor) {
		t.Errorf("left: %s", left)
	}
	if made, err := w.db.Read(t.Context(), nil).ResourceProviders(); err != nil || len(made) != 0 {
		t.Errorf("remembered: %v, %v", made, err)
	}
}
