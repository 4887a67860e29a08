package host

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// The names Neutron gives to things on a host. Interface names are limited to 15
// bytes by the kernel, hence the cut ids.

func cut(id string) string {
	if len(id) > 11 {
		return id[:11]
	}
	return id
}

// BridgeName is the bridge of a network.
func BridgeName(networkID string) string { return "brq" + cut(networkID) }

// TapName is the host end of a port, whatever its owner.
func TapName(portID string) string { return "tap" + cut(portID) }

// DHCPNamespace is the namespace of a network's DHCP service.
func DHCPNamespace(networkID string) string { return "qdhcp-" + networkID }

// DHCPDevice is the namespace end of a DHCP port.
func DHCPDevice(portID string) string { return "ns-" + cut(portID) }

// RouterNamespace is the namespace of a router.
func RouterNamespace(routerID string) string { return "qrouter-" + routerID }

// RouterDevice is the namespace end of an internal router port.
func RouterDevice(portID string) string { return "qr-" + cut(portID) }

// GatewayDevice is the namespace end of a router's gateway port.
func GatewayDevice(portID string) string { return "qg-" + cut(portID) }

// VLANDevice is the sub-interface of a physical interface for a VLAN, cut to what
// the kernel takes with a hash in the place of what is cut off.
func VLANDevice(parent string, vid uint32) string {
	name := fmt.Sprintf("%s.%d", parent, vid)
	if len(name) < 16 {
		return name
	}
	sum := sha256.Sum256([]byte(parent))
	return fmt.Sprintf("%s%s.%d", parent[:4], hex.EncodeToString(sum[:3]), vid)
}
