package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// Bootstrap is what a cloud begins with.
type Bootstrap struct {
	IdentityURL string // as clients reach it, with /v3
	NetworkURL  string
	Region      string            // "" is RegionOne
	Passwords   map[string]string // by user name; one that is missing is made up
	Server      string            // which server this is among those on the database, the same at every start; or Embedded
}

// Embedded is the server of a database that has no other, wherever that is moved to.
const Embedded = "embedded"

// The users a cloud begins with. Each is in the project of its name.
const (
	AdminUser = "admin"
	DemoUser  = "demo"
)

const bootstrapSetting = "identity.bootstrap"

// advertised is what the catalogue was last told, and by which server, so that a later
// start can tell its own URL, which may change, from one that somebody has set by hand
// and from that of another server, which are none of its business.
type advertised struct {
	Region, Identity, Network string
	Server                    string `json:",omitempty"` // "" in databases of earlier releases
}

// Bootstrap fills a new database with a domain, roles, projects, users and the
// catalogue, and returns the passwords of the users it has made: the only time
// they can be had. In a database that this server has filled before it changes
// endpoints whose URL is no longer true and nothing else; what an administrator has
// deleted since stays deleted. In one that another server has filled it changes
// nothing.
func (s *Service) Bootstrap(ctx context.Context, b Bootstrap) (passwords map[string]string, err error) {
	now := advertised{orElse(b.Region, "RegionOne"), b.IdentityURL, b.NetworkURL, b.Server}
	was, err := advertisement(s.db.Read(ctx, nil))
	if err != nil {
		return nil, fmt.Errorf("reading what was bootstrapped: %w", err)
	}
	if was != nil && (*was == now || !owns(was, now)) {
		return nil, nil
	}
	hashes := map[string]string{}
	if was == nil {
		if passwords, hashes, err = s.firstPasswords(ctx, b.Passwords); err != nil {
			return nil, fmt.Errorf("making passwords: %w", err)
		}
	}
	err = s.update(ctx, weft.SystemCaller("bootstrap"), func(tx *store.Tx) error { return bootstrap(tx, was, now, hashes) })
	if errors.Is(err, errOutrun) {
		return s.Bootstrap(ctx, b)
	}
	if err != nil {
		return nil, fmt.Errorf("bootstrapping: %w", err)
	}
	return passwords, nil
}

// bootstrap is all that is done in one transaction, if the database is still as it
// was.
func bootstrap(tx *store.Tx, was *advertised, now advertised, hashes map[string]string) error {
	is, err := advertisement(tx)
	if err != nil {
		return err
	}
	if (is == nil) != (was == nil) || is != nil && *is != *was {
		return errOutrun
	}
	if was == nil {
		if err := populate(tx, hashes); err != nil {
			return err
		}
	}
	if err := advertise(tx, was, now); err != nil {
		return err
	}
	text, err := json.Marshal(now)
	if err != nil {
		return err
	}
	return tx.SetSetting(bootstrapSetting, string(text))
}

// errOutrun means that another server has bootstrapped the database meanwhile.
var errOutrun = errors.New("bootstrapped by another")

// owns reports whether the server of now is the one that wrote was. Earlier releases
// did not note who did: then it is whoever is at the same URLs.
func owns(was *advertised, now advertised) bool {
	if was.Server != "" {
		return was.Server == now.Server
	}
	return now.Server == Embedded || was.Identity == now.Identity && was.Network == now.Network
}

// Founded reports whether the database was filled by this server, and at which URL its
// identity service was then or, if it is this server, is now.
func (s *Service) Founded(ctx context.Context, server string) (own bool, identityURL string, err error) {
	was, err := advertisement(s.db.Read(ctx, nil))
	if err != nil || was == nil {
		return false, "", err
	}
	return was.Server == server, was.Identity, nil
}

// advertisement is what the catalogue was last told, nil in a new database.
func advertisement(tx *store.Tx) (*advertised, error) {
	text, err := tx.Setting(bootstrapSetting)
	if err != nil || text == "" {
		return nil, err
	}
	was := new(advertised)
	return was, json.Unmarshal([]byte(text), was)
}

func (s *Service) firstPasswords(ctx context.Context, given map[string]string) (passwords, hashes map[string]string, err error) {
	passwords, hashes = map[string]string{}, map[string]string{}
	for _, user := range []string{AdminUser, DemoUser} {
		passwords[user], hashes[user], err = s.vault.adopt(ctx, given[user])
		if err != nil {
			return nil, nil, err
		}
	}
	return passwords, hashes, nil
}

// ResetPassword gives a user of the default domain a new password and returns it;
// "" makes one up. It is for an operator who has lost the old one. All tokens of
// the user die.
func (s *Service) ResetPassword(ctx context.Context, user, password string) (string, error) {
	password, hash, err := s.vault.adopt(ctx, password)
	if err != nil {
		return "", err
	}
	u, err := findUser(s.db.Read(ctx, nil), userRef{name: user, domain: domainRef{id: DefaultDomain}})
	if err == nil {
		err = s.setPassword(ctx, weft.SystemCaller("bootstrap"), u.ID, hash, u.Epoch)
	}
	if err != nil {
		return "", fmt.Errorf("resetting the password of %s: %w", user, err)
	}
	return password, nil
}

// populate makes everything but the catalogue.
func populate(tx *store.Tx, hashes map[string]string) error {
	d := &weft.Domain{Name: "Default", Description: "The default domain", Enabled: true}
	d.ID = DefaultDomain
	if err := store.Domains.Insert(tx, d); err != nil {
		return err
	}
	roles, err := populateRoles(tx)
	if err != nil {
		return err
	}
	projects := map[string]string{}
	for name, description := range map[string]string{AdminUser: "Bootstrap project for initializing the cloud.", "service": "Projects of services", DemoUser: "A project to try things in"} {
		p := &weft.Project{Name: name, DomainID: d.ID, ParentID: d.ID, Description: description, Enabled: true}
		p.ID = newID()
		projects[name] = p.ID
		if err := store.Projects.Insert(tx, p); err != nil {
			return err
		}
	}
	admin, err := populateUser(tx, AdminUser, hashes, projects, roles[weft.RoleAdmin])
	if err != nil {
		return err
	}
	if _, err := populateUser(tx, DemoUser, hashes, projects, roles[weft.RoleMember]); err != nil {
		return err
	}
	return assign(tx, &weft.RoleAssignment{RoleID: roles[weft.RoleAdmin], ActorType: weft.ActorUser, ActorID: admin, TargetType: weft.TargetSystem, TargetID: wholeSystem})
}

// populateRoles makes the roles, each implying the one made before it, and the
// role of services.
func populateRoles(tx *store.Tx) (ids map[string]string, err error) {
	ids = map[string]string{}
	var below []string
	for _, name := range []string{weft.RoleReader, weft.RoleMember, weft.RoleManager, weft.RoleAdmin} {
		if ids[name], err = populateRole(tx, name, below); err != nil {
			return nil, err
		}
		below = []string{ids[name]}
	}
	ids[weft.RoleService], err = populateRole(tx, weft.RoleService, nil)
	return ids, err
}

func populateRole(tx *store.Tx, name string, implies []string) (string, error) {
	r := &weft.Role{Name: name, Implies: implies}
	r.ID = newID()
	return r.ID, store.Roles.Insert(tx, r)
}

func populateUser(tx *store.Tx, name string, hashes, projects map[string]string, role string) (string, error) {
	u := &weft.User{Name: name, DomainID: DefaultDomain, Enabled: true}
	u.ID = newID()
	if err := store.Users.Insert(tx, u); err != nil {
		return "", err
	}
	if err := tx.SetPassword(u.ID, hashes[name]); err != nil {
		return "", err
	}
	return u.ID, assign(tx, &weft.RoleAssignment{RoleID: role, ActorType: weft.ActorUser, ActorID: u.ID, TargetType: weft.TargetProject, TargetID: projects[name]})
}

// advertise makes the catalogue true.
func advertise(tx *store.Tx, was *advertised, now advertised) error {
	if err := ensureRegion(tx, now.Region); err != nil {
		return err
	}
	if was == nil {
		was = new(advertised)
	}
	if err := advertiseService(tx, "identity", "keystone", was.Identity, now.Identity, now.Region); err != nil {
		return err
	}
	return advertiseService(tx, "network", "neutron", was.Network, now.Network, now.Region)
}

// advertiseService changes the endpoints that have the URL of before to the URL of
// now, and makes them if it never had one.
func advertiseService(tx *store.Tx, kind, name, was, now, region string) error {
	if was == "" {
		return newService(tx, kind, name, now, region)
	}
	list, err := store.Endpoints.Find(tx, store.Where("t.service_id IN (SELECT s.id FROM services s WHERE s.type = ?)", kind))
	if err != nil {
		return err
	}
	for _, e := range list {
		if e.URL != was {
			continue
		}
		e.URL, e.RegionID = now, weft.ID(region)
		if err := store.Endpoints.Update(tx, e); err != nil {
			return err
		}
	}
	return nil
}

func newService(tx *store.Tx, kind, name, url, region string) error {
	v := &weft.Service{Type: kind, Name: name, Enabled: true}
	v.ID = newID()
	if err := store.Services.Insert(tx, v); err != nil {
		return err
	}
	for _, reach := range []string{"public", "internal", "admin"} {
		e := &weft.Endpoint{ServiceID: v.ID, Interface: reach, RegionID: weft.ID(region), URL: url, Enabled: true}
		e.ID = newID()
		if err := store.Endpoints.Insert(tx, e); err != nil {
			return err
		}
	}
	return nil
}
