package main

import (
	"fmt"

	"github.com/weftnet/weft/internal/config"
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
