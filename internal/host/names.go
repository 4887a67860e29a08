package host

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
