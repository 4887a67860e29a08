package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

func (s *stack) startWeft(ctx context.Context) error {
	return s.serve(ctx, "weft", networkURL+"/healthz", nil, s.weft, "up", "--config", s.conf("weft.conf"),
		"--state-dir", filepath.Join(s.dir, "weft"), "-v")
}

func (s *stack) startPlacement(ctx context.Context) error {
	return s.wsgi(ctx, "placement", placementURL, 8778, "/usr/bin/placement-api",
		"OS_PLACEMENT_CONFIG_DIR="+filepath.Join(s.dir, "etc"))
}

func (s *stack) startGlance(ctx context.Context) error {
	return s.serve(ctx, "glance", glanceURL, nil, "glance-api", "--config-file", s.conf("glance-api.conf"))
}

// startNova starts what of Nova is a controller's.
func (s *stack) startNova(ctx context.Context) error {
	for _, name := range []string{"nova-conductor", "nova-scheduler"} {
		if err := s.startNovaPart(name); err != nil {
			return err
		}
	}
	return s.startNovaAPI(ctx)
}

func (s *stack) startNovaPart(name string) error {
	return s.start(name, nil, name, "--config-file", s.conf("nova.conf"))
}

func (s *stack) startNovaAPI(ctx context.Context) error {
	if err := s.startNovaPart("nova-api"); err != nil {
		return err
	}
	return s.ready(ctx, "nova-api", func(ctx context.Context) bool {
		return answers(ctx, novaURL) && answers(ctx, "http://127.0.0.1:8775")
	})
}

// startCompute starts nova-compute and waits until servers can be scheduled to it:
// until Nova has mapped the host to its cell.
func (s *stack) startCompute(ctx context.Context) error {
	if err := os.WriteFile(filepath.Join(s.dir, "run", "driver"), []byte(s.driver), 0o644); err != nil {
		return err
	}
	if err := s.startNovaPart("nova-compute"); err != nil {
		return err
	}
	return s.ready(ctx, "nova-compute", func(ctx context.Context) bool {
		out, err := s.sql(ctx, "select count(*) from nova_api.host_mappings")
		if err != nil || out != "1" {
			return false
		}
		var list struct {
			Services []struct{ Binary, State string }
		}
		if err := s.admin.do(ctx, "GET", novaURL+"/os-services?binary=nova-compute", nil, &list); err != nil {
			return false
		}
		return len(list.Services) == 1 && list.Services[0].State == "up" && s.reported(ctx)
	})
}

// reported is whether Placement knows what the host has, as the driver sees it.
func (s *stack) reported(ctx context.Context) bool {
	out, err := s.sql(ctx, "select count(*) from nova.compute_nodes where deleted=0 and hypervisor_type='"+hypervisorTypes[s.driver]+
		"' and updated_at is not null")
	return err == nil && out == "1"
}

// hypervisorTypes is what the drivers call what they drive.
var hypervisorTypes = map[string]string{fake: "fake", libvirt: "QEMU"}

// use makes Nova use a driver.
func (s *stack) use(ctx context.Context, driver string) error {
	if driver == "" || driver == s.driver {
		return nil
	}
	if err := s.stop("nova-compute"); err != nil {
		return err
	}
	s.driver = driver
	if err := s.configure(); err != nil {
		return err
	}
	if driver == libvirt {
		if err := s.startLibvirt(ctx); err != nil {
			return err
		}
	}
	if err := s.startCompute(ctx); err != nil {
		return fmt.Errorf("with %s: %w", driver, err)
	}
	return nil
}
