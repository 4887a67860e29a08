package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// startHorizon starts it with a copy of Debian's settings and one more file.
func (s *stack) startHorizon(ctx context.Context) error {
	const settings = "/etc/openstack-dashboard"
	own := filepath.Join(s.dir, "horizon")
	if !s.running("horizon") {
		if err := os.CopyFS(own, os.DirFS(settings)); err != nil {
			return fmt.Errorf("settings of Horizon: %w", err)
		}
		more, err := os.ReadFile(s.conf("horizon.conf"))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(own, "local_settings.d", "_9999_stack.py"), more, 0o644); err != nil {
			return err
		}
		if err := unix.Mount(own, settings, "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	return s.serve(ctx, "horizon", horizonURL+"/auth/login/", []string{"PYTHONDONTWRITEBYTECODE=1"}, "uwsgi_python3",
		"--plugins", "python3", "--master",
		"--lazy-apps", "--need-app", "--http-socket", "127.0.0.1:8080", "--processes", "2", "--threads", "4", "--enable-threads",
		"--buffer-size", "65535",
		"--die-on-term", "--no-orphans", "--static-map", "/static=/var/lib/openstack-dashboard/static", "--wsgi-file",
		"/usr/share/openstack-dashboard/wsgi.py")
}

// horizon opens every panel and form about networks as a member and as administrator,
// and makes some things with the forms.
func horizon(ctx context.Context, t *trial) error {
	c, err := t.cloud(ctx)
	if err != nil {
		return err
	}
	if err := t.startHorizon(ctx); err != nil {
		return err
	}
	b, err := startBrowser(ctx, t.dir)
	if err != nil {
		return err
	}
	defer b.stop()
	if err := os.MkdirAll(filepath.Join(t.dir, "shots"), 0o755); err != nil {
		return err
	}
	pages, err := t.pages(ctx, c)
	if err != nil {
		return err
	}
	for _, user := range []string{"demo", "admin"} {
		if err := t.signIn(ctx, b, user); err != nil {
			return fmt.Errorf("logging in as %s: %w", user, err)
		}
		good := 0
		for _, p := range pages[user] {
			if err := t.look(ctx, b, p); err != nil {
				t.wrong("%s: %s: %w", user, p, err)
				continue
			}
			good++
		}
		t.saw("%s: %d of %d panels and forms have no error", user, good, len(pages[user]))
	}
	return t.forms(ctx, b)
}

func (t *trial) signIn(ctx context.Context, b *browser, user string) error {
	if err := b.visit(ctx, horizonURL+"/auth/logout/"); err != nil {
		return err
	}
	if err := b.visit(ctx, horizonURL+"/auth/login/"); err != nil {
		return err
	}
	if err := b.andLoads(ctx, func() error {
		return b.eval(ctx, fmt.Sprintf(`document.querySelector('#id_username').value=%q;
			document.querySelector('#id_password').value=%q;
			document.querySelector('#id_username').form.submit()`, user, password), nil)
	}); err != nil {
		return err
	}
	var at string
	if err := b.eval(ctx, "location.pathname", &at); err != nil {
		return err
	}
	if strings.HasPrefix(at, "/auth") {
		return errors.New("refused")
	}
	return nil
}

// look opens a page, takes a picture, and is what it complains about.
func (t *trial) look(ctx context.Context, b *browser, path string) error {
	if err := b.visit(ctx, horizonURL+"/"+path); err != nil {
		return err
	}
	return t.judge(ctx, b, path)
}

// judge is what the page that is open complains about, when it has asked for all that
// it shows.
func (t *trial) judge(ctx context.Context, b *browser, name string) error {
	if err := eventually(ctx, 30*time.Second, func(ctx context.Context) (bool, error) {
		time.Sleep(500 * time.Millisecond)
		var loading bool
		err := b.eval(ctx, "document.body.innerText.includes('Loading')", &loading)
		return !loading, err
	}); err != nil {
		return fmt.Errorf("it is still loading: %w", err)
	}
	if err := b.shoot(ctx, filepath.Join(t.dir, "shots",
		strings.NewReplacer("/", "_", "?", "_", "&", "_").Replace(name)+".png")); err != nil {
		return err
	}
	var page struct {
		Status int
		At     string
		Errors []string
		Text   int
	}
	if err := b.eval(ctx, `({Status: performance.getEntriesByType('navigation')[0].responseStatus,
		At: location.pathname, Text: document.body.innerText.length,
		Errors: [...document.querySelectorAll('.alert-danger, .alert-error, .toast-error, .has-error .help-block')]
			.map(e => e.innerText.trim()).filter(e => e)})`, &page); err != nil {
		return err
	}
	switch {
	case page.Status != 200:
		return fmt.Errorf("status %d", page.Status)
	case len(page.Errors) > 0:
		return fmt.Errorf("it says %q", page.Errors)
	case strings.HasPrefix(page.At, "/auth"):
		return errors.New("it asks to log in")
	case page.Text < 20:
		return errors.New("there is nothing on it")
	}
	return nil
}

// pages are the panels and forms of the member and of the administrator.
func (t *trial) pages(ctx context.Context, c cloud) (map[string][]string, error) {
	ports, err := list[portDoc](ctx, t.demo, "ports", "network_id="+c.private)
	if err != nil || len(ports) == 0 {
		return nil, fmt.Errorf("ports of the private network: %d, %w", len(ports), err)
	}
	port := ports[0].ID
	if _, err := t.float(ctx, c, ""); err != nil {
		return nil, err
	}
	address, err := list[named](ctx, t.demo, "floatingips", "")
	if err != nil || len(address) == 0 {
		return nil, fmt.Errorf("floating IPs: %d, %w", len(address), err)
	}
	p := strings.NewReplacer("NET", c.private, "@SUB", c.subnet, "ROUTER", c.router, "GROUP", c.group, "PORT", port, "FIP",
		address[0].ID)
	member := `project/ project/network_topology/ project/network_topology/json project/network_topology/createnetwork
		project/network_topology/createrouter project/network_topology/router project/network_topology/network
		project/networks/ project/networks/create project/networks/NET/detail
		project/networks/NET/detail?tab=network_tabs__subnets_tab project/networks/NET/detail?tab=network_tabs__ports_tab
		project/networks/NET/update project/networks/NET/subnets/create project/networks/NET/ports/create
		project/networks/NET/subnets/@SUB/update project/networks/NET/ports/PORT/update project/networks/subnets/@SUB/detail
		project/networks/ports/PORT/detail project/routers/ project/routers/create/ project/routers/ROUTER/
		project/routers/ROUTER/?tab=router_details__interfaces project/routers/ROUTER/?tab=router_details__extra_routes
		project/routers/ROUTER/update project/routers/ROUTER/addinterface project/routers/ROUTER/addrouterroute
		project/routers/ROUTER/setgateway project/security_groups/ project/security_groups/create/
		project/security_groups/GROUP/ project/security_groups/GROUP/add_rule/ project/security_groups/GROUP/update/
		project/floating_ips/ project/floating_ips/allocate/ project/floating_ips/associate/?ip_id=FIP project/trunks/
		project/network_qos/ project/instances/`
	administrator := `admin/networks/ admin/networks/create/ admin/networks/NET/detail
		admin/networks/NET/detail?tab=network_tabs__agents_tab admin/networks/NET/detail?tab=network_tabs__ports_tab
		admin/networks/NET/detail?tab=network_tabs__subnets_tab admin/networks/NET/update admin/networks/NET/agents/add
		admin/networks/NET/subnets/create admin/networks/NET/ports/create admin/networks/NET/ports/PORT/update
		admin/networks/NET/subnets/@SUB/update admin/networks/subnets/@SUB/detail admin/networks/ports/PORT/detail
		admin/routers/ admin/routers/create/ admin/routers/ROUTER/ admin/routers/ROUTER/update admin/floating_ips/
		admin/floating_ips/allocate/ admin/floating_ips/FIP/detail/ admin/rbac_policies/ admin/rbac_policies/create/
		admin/trunks/ admin/info/ admin/info/?tab=system_info__network_agents admin/defaults/?tab=defaults__network_quotas
		project/network_qos/ identity/`
	return map[string][]string{"demo": strings.Fields(p.Replace(member)), "admin": strings.Fields(p.Replace(administrator))}, nil
}

// forms makes things by filling in forms, as the administrator who is logged in.
func (t *trial) forms(ctx context.Context, b *browser) error {
	for _, f := range []struct{ path, collection, fill string }{
		{"project/routers/create/", "routers", `document.querySelector('#id_name').value='by-form'`},
		{"project/security_groups/create/", "security-groups", `document.querySelector('#id_name').value='by-form'`},
		{"admin/networks/create/", "networks", `document.querySelector('#id_name, #id_net_name').value='by-form';
			for (const e of document.querySelectorAll('select[name=tenant_id]')) e.selectedIndex=1;
			for (const e of document.querySelectorAll('[name=network_type]')) e.value='vxlan';
			for (const e of document.querySelectorAll('[name=segmentation_id]')) e.value='777';
			for (const e of document.querySelectorAll('[name=with_subnet]')) e.checked=false`},
	} {
		if err := t.form(ctx, b, f.path, f.collection, f.fill); err != nil {
			t.wrong("form %s: %w", f.path, err)
		}
	}
	return nil
}

func (t *trial) form(ctx context.Context, b *browser, path, collection, fill string) error {
	if err := b.visit(ctx, horizonURL+"/"+path); err != nil {
		return err
	}
	if err := b.andLoads(ctx, func() error {
		return b.eval(ctx, fill+`; document.querySelector('[name=name], [name=net_name]').form.submit()`, nil)
	}); err != nil {
		return err
	}
	if err := t.judge(ctx, b, path+"-done"); err != nil {
		return err
	}
	made, err := list[named](ctx, t.admin, collection, "name=by-form")
	if err != nil {
		return err
	}
	if len(made) != 1 {
		return fmt.Errorf("%d of %s were made", len(made), collection)
	}
	t.saw("the form %s made one", path)
	return remove(ctx, t.admin, collection, made[0].ID)
}
