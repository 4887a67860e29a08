// Package mark says whose the things on a host are. Interfaces of ours have an alias,
// and namespaces have one on their loopback, that reads
//
//	weft:KIND:ID@CLOUD
//
// with the id of the cloud that they are of: what is another cloud's is neither used
// nor deleted. Those that a weft has made from before clouds had ids end before the @.
package mark

import "strings"

// Mark is what an alias says.
type Mark struct {
	Kind  string
	ID    string // of what the thing is for; namespaces have none
	Cloud string // empty: older than ids of clouds
	Host  string // of namespaces: see netns.Home
}

// The kinds.
const (
	Network = "network" // the devices of a network
	Port    = "port"    // the host end of a router's or a DHCP service's port
	SubPort = "subport" // the VLAN device of a trunk's subport
	Plug    = "plug"    // the host end of what stands for an instance
	Outside = "outside" // the host end of the stand-in for the outside world
	Space   = "netns"   // a namespace
)

const prefix = "weft:"

// String is the alias.
func (m Mark) String() string {
	s := prefix + m.Kind
	if m.ID != "" {
		s += ":" + m.ID
	}
	if m.Cloud != "" {
		s += "@" + m.Cloud
	}
	if m.Host != "" {
		s += "/" + m.Host
	}
	return s
}

// Parse reads an alias; it is false if it is not one of ours.
func Parse(alias string) (m Mark, ok bool) {
	rest, ok := strings.CutPrefix(alias, prefix)
	if !ok {
		return m, false
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		m.Cloud, m.Host, _ = strings.Cut(rest[i+1:], "/")
		rest = rest[:i]
	}
	m.Kind, m.ID, _ = strings.Cut(rest, ":")
	return m, true
}

// Of reports whether an alias is a mark of the cloud.
func Of(cloud, alias string) bool {
	m, ok := Parse(alias)
	return ok && m.Cloud == cloud
}

// Foreign reports whether an alias is a mark of a cloud that has an id, and another
// one than this.
func Foreign(cloud, alias string) bool {
	m, ok := Parse(alias)
	return ok && m.Cloud != "" && m.Cloud != cloud
}
