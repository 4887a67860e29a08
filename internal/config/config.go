// Package config reads the configuration file of weft: INI in the manner of
// neutron.conf, with Neutron's names for what Neutron has, so that operators find
// what they know. What is read is validated at once and becomes plain values; the
// rest of weft never sees a key.
//
// Every option is one row of a table, from which reading, defaults, the check for
// unknown keys and the reference file etc/weft.conf all follow.
package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/weftnet/weft"
)

// DatabaseTime is how long the database may take.
type DatabaseTime struct {
	Answer time.Duration // to answer
	Start  time.Duration // to be there when weft starts
}

// Config is what an operator can choose. Its fields may be set after it was read,
// by flags for example; Validate then says whether they still make sense.
type Config struct {
	StateDir     string // folder of the database and of clouds.yaml
	Host         string // name of this host, as in binding:host_id
	Listen       netip.Addr
	NetworkPort  uint16
	IdentityPort uint16
	Database     string // URL as the store takes it; "" is SQLite in StateDir
	DatabaseTime DatabaseTime
	NewPasswords bool          // for the users that clouds.yaml is about; a flag only
	LogAge       time.Duration // how long the change log goes back
	LogBytes     int64         // and how much of it is kept
	LogUnread    int64         // or has to be, because others have still to be told
	PolicyFile   string        // rules in place of the built-in ones; "" is none
	EnforceScope bool          // tokens of a system or a domain admit to nothing
	TokenTTL     time.Duration
	FreeFailures int // wrong passwords in a row before the next has to wait; 0 is any number
	Clients      Clients
	Keystone     Keystone
	ServiceToken ServiceToken
	Nova         Nova
	Placement    Placement
	Physnets     map[string]string // physical network -> interface
	WaitForLinks bool              // for the interfaces of Physnets, if they are not there
	Resources    Resources

	BaseMAC          weft.MAC // the first three octets of generated addresses, four if the fourth is not 0
	DNSDomain        string   // with the dot at its end
	AvailabilityZone string
	AgentDownTime    time.Duration
	PageLimit        int // largest page of a list; 0 is any
	MaxBody          int // bytes of a request
	MaxBulk          int // items created by one
	MaxDNSServers    int // of a subnet
	MaxHostRoutes    int // of a subnet
	MaxAddressPairs  int // of a port

	ML2      ML2
	VXLAN    VXLAN
	Quotas   map[string]int // by resource; -1 is unlimited
	Metadata Metadata
	DHCP     DHCP
	Schedule Schedule
	Log      Log
}

// Clients is what those who speak to the APIs may do.
type Clients struct {
	Patience    time.Duration // for the next piece of what they send or take
	Connections int
	PerAddress  int // 0: three quarters of all
}

// Keystone is who knows tokens in the place of weft's own identity.
type Keystone struct {
	URL       string // "": weft's own
	PublicURL string // for clients; "" is URL
	Username  string
	Password  string
	Domain    string // of the user, by name
	Project   string
	InDomain  string // of the project, by name
	Region    string // of the catalogue, for weft's own commands
	CAFile    string
	Insecure  bool
	Timeout   time.Duration
	CacheTime time.Duration // how long what it said is better than nothing
	Recheck   time.Duration // how long it is the truth
}

// Peer is another service of the cloud, and who weft is to it.
type Peer struct {
	AuthURL         string // Keystone's; "": weft has nothing to do with the service
	Username        string
	Password        string
	UserDomain      string // by name
	UserDomainID    string // goes before the name
	Project         string
	ProjectDomain   string
	ProjectDomainID string
	Region          string   // of its endpoint; "" is any
	Interfaces      []string // of its endpoint, the first that there is
	Endpoint        string   // in place of the catalogue's
	CAFile          string
	Insecure        bool
	Timeout         time.Duration // of a request
}

// check says what is missing of the section.
func (p Peer) check(section string) error {
	if p.AuthURL != "" && (p.Username == "" || p.Password == "" || p.Project == "") {
		return fmt.Errorf("with an auth_url, [%s] needs username, password and project_name", section)
	}
	if p.AuthURL != "" && len(p.Interfaces) == 0 {
		return fmt.Errorf("[%s] needs an endpoint_type", section)
	}
	return nil
}

// Nova is who is told what becomes of the ports of its servers.
type Nova struct {
	Peer
	Statuses bool          // of ports
	Data     bool          // addresses and what else changes
	Interval time.Duration // between two messages
}

// Placement is who has servers' bandwidth scheduled.
type Placement struct {
	Peer
	Audit time.Duration // how often what it has is looked at again
}

// ServiceToken is what makes a token one of a service.
type ServiceToken struct {
	Roles    []string
	Required bool
}

// ML2 is what networks are made of.
type ML2 struct {
	TenantTypes  []string           // tried in this order
	ExternalType string             // of external networks; "" is as for tenants
	FlatNetworks []string           // physical networks, "*" is all
	VLANs        map[string][]Range // physical network -> ids of tenant networks; a network without ranges is for admins only
	VNIs         []Range            // of VXLAN
	GREs         []Range            // tunnel ids
	GeneveVNIs   []Range
	GeneveHeader int // room for options, in bytes

	GlobalMTU   int
	PathMTU     int            // between tunnel ends; 0 is GlobalMTU
	PhysnetMTUs map[string]int // of single physical networks
	OverlayIPv6 bool           // tunnels run over IPv6
}

// Schedule is which agents carry what.
type Schedule struct {
	DHCPAgents   int  // of each network
	DHCPFailover bool // networks of dead agents move
	L3Failover   bool // routers of dead agents move
	Distributed  bool // routers are, unless their request says otherwise
	HA           bool // the same
	HAAgents     int  // of each highly available router; 0 is all
}

// Range is an inclusive range of segmentation ids.
type Range struct{ Min, Max int64 }

// VXLAN is this host's tunnels.
type VXLAN struct {
	LocalIP      netip.Addr // the host's tunnel end; invalid: the kernel chooses
	Port         uint16     // UDP
	ARPResponder bool
}

// DHCP is what this host tells guests beside their addresses.
type DHCP struct {
	Lease         time.Duration    // -1: for ever
	Resolvers     []netip.AddrPort // asked about names that are not a network's own
	HostResolvers bool             // if there are none those of the host are
}

// Metadata is where instances' questions about themselves go.
type Metadata struct {
	NovaURL string // "": weft answers
	Secret  string // shared with Nova; "": the caller makes one and keeps it
}

// Log is what is logged, and how.
type Log struct {
	Level slog.Level
	JSON  bool
}

// Default is the configuration without any file. root says whether weft has the
// machine to itself, or a user's own corner of it; that decides where it keeps its
// state.
func Default(root bool) Config {
	c := initial()
	c.finish(root)
	return c
}

// initial is every option at its default, before finish.
func initial() Config {
	var c Config
	for _, o := range options() {
		if err := o.set(&c, o.value); err != nil {
			panic("config: the default of " + o.name() + ": " + err.Error()) // a row of the table is wrong
		}
	}
	return c
}

// finish settles what was not given and depends on the machine or on other options.
func (c *Config) finish(root bool) {
	if c.StateDir == "" {
		c.StateDir = DefaultStateDir(root)
	}
	if c.Host == "" {
		c.Host = hostname()
	}
	for resource, n := range c.Quotas {
		if n == useDefault {
			c.Quotas[resource] = c.Quotas[""]
		}
	}
	delete(c.Quotas, "")
}

// DefaultStateDir is /var/lib/weft for root, and for others weft's folder among the
// state files of the user.
func DefaultStateDir(root bool) string {
	if root {
		return "/var/lib/weft"
	}
	// The XDG specification has relative paths ignored.
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "weft")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ".weft"
	}
	return filepath.Join(home, ".local", "state", "weft")
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "localhost"
	}
	return name
}

// limited is the resources with quotas, and Neutron's limits; those that are not
// here by number get default_quota.
var limited = map[string]int{
	"network": 100, "subnet": 100, "port": 500, "router": 10, "floatingip": 50,
	"security_group": 10, "security_group_rule": 100, "rbac_policy": 10,
	"subnetpool": useDefault, "trunk": useDefault,
}

// useDefault marks a quota that was not given.
const useDefault = -2

// Validate reports, all at once, what does not fit together.
func (c Config) Validate() error {
	var errs []error
	refuse := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.StateDir == "" {
		refuse("the state directory has no name")
	}
	if c.Host == "" || len(c.Host) > 255 {
		refuse("the name of the host, %q, must have 1 to 255 characters", c.Host)
	}
	if !c.Listen.IsValid() {
		refuse("there is no address to listen on")
	}
	if k := c.Keystone; k.URL != "" && (k.Username == "" || k.Password == "" || k.Project == "") {
		refuse("with a url, [identity] needs username, password and project_name")
	}
	for _, err := range []error{c.Nova.check("nova"), c.Placement.check("placement"), c.checkResources()} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	if c.Keystone.URL == "" && c.NetworkPort == c.IdentityPort && c.NetworkPort != 0 {
		refuse("the Networking API and the identity API cannot both have port %d", c.NetworkPort)
	}
	if ip := c.VXLAN.LocalIP; ip.IsValid() && ip.Is6() != c.ML2.OverlayIPv6 {
		refuse("the tunnel end %s is not of overlay_ip_version", ip)
	}
	return errors.Join(errs...)
}
