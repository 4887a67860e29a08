package main

import (
	"context"
	"fmt"

	"github.com/weftnet/weft/internal/authtoken"
	"github.com/weftnet/weft/internal/client"
	"github.com/weftnet/weft/internal/config"
	"github.com/weftnet/weft/internal/identity"
	"github.com/weftnet/weft/internal/keystone"
)

// identify decides who knows tokens, weft's own identity service or a Keystone, and
// writes clouds.yaml.
func (m *machine) identify(ctx context.Context) error {
	var source authtoken.Source
	var err error
	if m.cfg.Keystone.URL != "" {
		source, err = m.identifyElsewhere()
	} else {
		source, err = m.identifyHere(ctx)
	}
	if err != nil {
		return err
	}
	m.gate = authtoken.New(authtoken.Config{Source: source, ServiceType: "network",
		ServiceRoles: m.cfg.ServiceToken.Roles, RolesRequired: m.cfg.ServiceToken.Required})
	return nil
}

// identifyElsewhere leaves identity to a Keystone. Nothing is registered there, and
// it need not be up yet.
func (m *machine) identifyElsewhere() (authtoken.Source, error) {
	k := m.cfg.Keystone
	say("identity: the Keystone at %s; weft serves none and registers nothing there", k.URL)
	v, err := keystone.New(keystone.Config{Log: m.log, URL: k.URL, CAFile: k.CAFile, Insecure: k.Insecure, Timeout: k.Timeout,
		Recheck: k.Recheck, CacheTime: k.CacheTime,
		User: keystone.User{Name: k.Username, Password: k.Password, Domain: k.Domain, Project: k.Project, ProjectDomain: k.InDomain}})
	if err != nil {
		return nil, err
	}
	m.authURL = k.PublicURL
	if m.authURL == "" {
		m.authURL = k.URL
	}
	m.follow = v.Run
	if err := m.dir.keepCloud("weft", serviceCloud(k, "http://"+reachable(m.listeners["network"]))); err != nil {
		return nil, fmt.Errorf("writing clouds.yaml: %w", err)
	}
	return v, nil
}

// serviceCloud is the entry of clouds.yaml for weft's own commands, which speak as
// the service's user. Keystone's catalogue may have no network service, or another.
func serviceCloud(k config.Keystone, network string) client.Cloud {
	var c client.Cloud
	c.Auth = client.Auth{AuthURL: k.URL, Username: k.Username, Password: k.Password, ProjectName: k.Project,
		UserDomainName: k.Domain, ProjectDomainName: k.InDomain}
	c.RegionName, c.IdentityAPIVersion, c.Network, c.CACert = k.Region, 3, network, k.CAFile
	if k.Insecure {
		c.Verify = new(bool)
	}
	return c
}

// identifyHere opens weft's own identity service.
func (m *machine) identifyHere(ctx context.Context) (authtoken.Source, error) {
	say("identity: users, projects and the service catalogue")
	m.authURL = "http://" + reachable(m.listeners["identity"]) + "/v3"
	own, err := identity.New(ctx, identity.Config{DB: m.db, Log: m.log, TokenTTL: m.cfg.TokenTTL, Bodies: m.bodies})
	if err != nil {
		return nil, err
	}
	m.identity, m.follow = own, own.Run
	passwords, lost, err := m.dir.passwords()
	if err != nil {
		return nil, err
	}
	// The file comes first: a password that only a lost process knew would lock
	// everybody out.
	if err := m.dir.writeClouds(m.authURL, passwords); err != nil {
		return nil, fmt.Errorf("writing clouds.yaml: %w", err)
	}
	made, err := own.Bootstrap(ctx, identity.Bootstrap{
		IdentityURL: m.authURL,
		NetworkURL:  "http://" + reachable(m.listeners["network"]),
		Passwords:   passwords,
	})
	if err != nil || made != nil {
		return own, err
	}
	for _, user := range lost {
		say("clouds.yaml had no password of user %s: it has a new one now", user)
		if _, err := own.ResetPassword(ctx, user, passwords[user]); err != nil {
			return nil, fmt.Errorf("giving user %s a new password: %w", user, err)
		}
	}
	return own, nil
}
