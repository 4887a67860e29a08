package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// neutronParts are the processes that weft stands in the place of.
var neutronParts = []string{"neutron-server", "neutron-linuxbridge-agent", "neutron-dhcp-agent", "neutron-l3-agent",
	"neutron-metadata-agent"}

// startNetwork starts the network service that the stack is to have.
func (s *stack) startNetwork(ctx context.Context) error {
	if s.network == "weft" {
		return s.startWeft(ctx)
	}
	return s.startNeutron(ctx)
}

// networkParts are the processes of the network service.
func (s *stack) networkParts() []string {
	if s.network == "weft" {
		return []string{"weft"}
	}
	return neutronParts
}

// startNeutron starts neutron-server and its agents, with a wire of their own for the
// tunnels.
func (s *stack) startNeutron(ctx context.Context) error {
	if err := s.neutronFilters(); err != nil {
		return err
	}
	conf := []string{"--config-file", s.conf("neutron.conf"), "--config-file", s.conf("ml2.conf")}
	if _, err := s.tool(ctx, nil, "neutron-db-manage", append(conf, "upgrade", "head")...); err != nil {
		return err
	}
	for _, args := range [][]string{{"link", "add", "tun0", "type", "veth", "peer", "name", "tun1"}, {"link", "set", "tun1", "up"},
		{"addr", "add", "10.199.0.1/24", "dev", "tun0"}, {"link", "set", "tun0", "up"}} {
		if err := ip(ctx, args...); err != nil {
			return err
		}
	}
	if err := s.serve(ctx, "neutron-server", networkURL, nil, "neutron-server", conf...); err != nil {
		return err
	}
	for _, name := range neutronParts[1:] {
		if err := s.start(name, nil, name, "--config-file", s.conf("neutron.conf"), "--config-file",
			s.conf("agents.conf")); err != nil {
			return err
		}
	}
	return s.ready(ctx, "neutron-l3-agent", func(ctx context.Context) bool {
		out, err := s.sql(ctx, "select count(*) from neutron.agents")
		return err == nil && out == fmt.Sprint(len(neutronParts)-1)
	})
}

// neutronFilters lets the agents do what they do as root with two files of
// configuration; Debian's filter admits one.
func (s *stack) neutronFilters() error {
	dir := filepath.Join(s.dir, "etc", "rootwrap.d")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	data, err := os.ReadFile("/etc/neutron/rootwrap.d/rootwrap.filters")
	if err != nil {
		return err
	}
	data = regexp.MustCompile(`(?m)^(privsep:.*| --(config-file|privsep).*)$`).ReplaceAll(data, nil)
	if err := os.WriteFile(filepath.Join(dir, "neutron.filters"), data, 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "privsep.filters"),
		[]byte("[Filters]\nprivsep: CommandFilter, privsep-helper, root\n"), 0o644)
}
