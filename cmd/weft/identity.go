package main

import (
	"context"
	"fmt"

	"github.com/weftnet/weft/internal/authtoken"
	"github.com/weftnet/weft/internal/client"
	"github.com/weftnet/weft/internal/config"
	"github.com/weftnet/weft/internal/identity"
	"github.com/weftnet/weft/internal/keystone"
	"github.com/weftnet/weft/internal/peer"
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
	v, err := keystone.New(keystone.Config{Log: m.log, Recheck: k.Recheck, CacheTime: k.CacheTime,
		Keystone: peer.Config{URL: k.URL, CAFile: k.CAFile, Insecure: k.Insecure, Timeout: k.Timeout,
			User: peer.User{Name: k.Username, Password: k.Password, Domain: k.Domain, Project: k.Project, ProjectDomain: k.InDomain}}})
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
	own, err := identity.New(ctx, identity.Config{DB: m.db, Log: m.log, TokenTTL: m.cfg.TokenTTL, Bodies: m.bodies,
		FreeFailures: m.cfg.FreeFailures})
	if err != nil {
		return nil, err
	}
	m.identity, m.follow = own, own.Run
	if err := m.bootstrap(ctx, own); err != nil {
		return nil, err
	}
	return own, nil
}

// bootstrap fills a new database with users and a catalogue and keeps clouds.yaml
// true. Where another server has done so it changes nothing: neither passwords, which
// it cannot know, nor the catalogue, nor a clouds.yaml that somebody has put here.
func (m *machine) bootstrap(ctx context.Context, own *identity.Service) error {
	server, err := m.server()
	if err != nil {
		return fmt.Errorf("naming this server: %w", err)
	}
	passwords, lost, err := m.dir.passwords(m.cfg.NewPasswords)
	if err != nil {
		return err
	}
	// The file comes first: a password that only a lost process knew would lock
	// everybody out.
	if err := m.dir.proposeClouds(m.authURL, passwords); err != nil {
		return fmt.Errorf("writing clouds.yaml: %w", err)
	}
	made, err := own.Bootstrap(ctx, identity.Bootstrap{
		IdentityURL: m.authURL,
		NetworkURL:  "http://" + reachable(m.listeners["network"]),
		Passwords:   passwords,
		Server:      server,
	})
	if err != nil {
		return err
	}
	if made != nil {
		return m.dir.acceptClouds()
	}
	mine, there, err := own.Founded(ctx, server)
	if err != nil {
		return fmt.Errorf("reading who made the users: %w", err)
	}
	if !mine && !m.cfg.NewPasswords {
		sayJoined(m.dir, there, len(lost) > 0)
		return m.dir.forgetClouds()
	}
	return m.resetLost(ctx, own, passwords, lost)
}

// server tells this server from others on the database, if there can be others.
func (m *machine) server() (string, error) {
	if m.cfg.Database == "" {
		return identity.Embedded, nil
	}
	return m.dir.server()
}

// sayJoined tells the operator of a server that joins others how to log in.
func sayJoined(dir stateDir, there string, lost bool) {
	say("users and catalogue are those that another server has made, with identity at %s; they stay as they are", there)
	if lost {
		say("their passwords are not known here, so %s is not written: copy the one of that server, "+
			"or give admin and demo new passwords with weft up --new-passwords", dir.clouds())
	}
}

// resetLost gives users new passwords whom clouds.yaml did not have, or everybody if
// that is asked for.
func (m *machine) resetLost(ctx context.Context, own *identity.Service, passwords map[string]string, lost []string) error {
	for _, user := range lost {
		say("user %s gets a new password, which clouds.yaml has", user)
		if _, err := own.ResetPassword(ctx, user, passwords[user]); err != nil {
			return fmt.Errorf("giving user %s a new password: %w", user, err)
		}
	}
	return m.dir.acceptClouds()
}
