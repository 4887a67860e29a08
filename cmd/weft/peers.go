package main

import (
	"context"
	"fmt"

	"github.com/weftnet/weft/internal/config"
	"github.com/weftnet/weft/internal/nova"
	"github.com/weftnet/weft/internal/peer"
)

// neighbour is another service of the cloud, of a type in Keystone's catalogue.
func neighbour(kind string, p config.Peer) (*peer.Service, error) {
	s, err := peer.NewSession(peer.Config{URL: p.AuthURL, CAFile: p.CAFile, Insecure: p.Insecure, Timeout: p.Timeout,
		User: peer.User{Name: p.Username, Password: p.Password, Domain: p.UserDomain, DomainID: p.UserDomainID,
			Project: p.Project, ProjectDomain: p.ProjectDomain, ProjectDomainID: p.ProjectDomainID}})
	if err != nil {
		return nil, fmt.Errorf("the service of type %s: %w", kind, err)
	}
	return s.Service(peer.Where{Type: kind, Region: p.Region, Interfaces: p.Interfaces, URL: p.Endpoint}), nil
}

// tellNova makes the notifier of Nova, if there is one to tell something.
func (m *machine) tellNova(ctx context.Context) error {
	c := m.cfg.Nova
	if c.AuthURL == "" || !c.Statuses && !c.Data {
		return nil
	}
	say("nova: told of what happens to its ports, as user %s of the Keystone at %s", c.Username, c.AuthURL)
	service, err := neighbour("compute", c.Peer)
	if err != nil {
		return err
	}
	server, err := m.server()
	if err != nil {
		return fmt.Errorf("naming this server: %w", err)
	}
	m.nova, err = nova.New(ctx, nova.Config{Log: m.log, DB: m.db, Nova: service, Server: server,
		Statuses: c.Statuses, Data: c.Data, Interval: c.Interval})
	return err
}

// peers is how it goes with the other services, for /healthz.
func (m *machine) peers() map[string]any {
	out := map[string]any{}
	if m.nova != nil {
		out["nova"] = m.nova.Status()
	}
	return out
}
