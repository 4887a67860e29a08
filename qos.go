package weft

// QoSPolicy is a set of rules for the traffic of what it is given to: networks,
// ports, floating IPs, gateways of routers.
type QoSPolicy struct {
	Meta
	Name        string `json:"name"`
	Description string `json:"description"`
	IsDefault   bool   `json:"is_default"` // for new networks of its project
}

// QoSRule is one rule of a policy. Its type says which of the values count.
type QoSRule struct {
	Meta
	PolicyID     string `json:"qos_policy_id"`
	Type         string `json:"type"`
	Direction    string `json:"direction"`
	MaxKbps      int64  `json:"max_kbps"`       // kbit/s
	MaxBurstKbps int64  `json:"max_burst_kbps"` // kbit; 0 leaves it to the host
	MinKbps      int64  `json:"min_kbps"`
	MaxKpps      int64  `json:"max_kpps"`       // 1000 packets/s
	MaxBurstKpps int64  `json:"max_burst_kpps"` // 1000 packets; 0 leaves it to the host
	MinKpps      int64  `json:"min_kpps"`
	DSCPMark     int64  `json:"dscp_mark"`
}

// Types of QoS rules.
const (
	QoSBandwidthLimit    = "bandwidth_limit"
	QoSDSCPMarking       = "dscp_marking"
	QoSMinimumBandwidth  = "minimum_bandwidth"
	QoSMinimumPacketRate = "minimum_packet_rate"
	QoSPacketRateLimit   = "packet_rate_limit"
)

// AnyDirection is both directions together, in a minimum packet rate.
const AnyDirection = "any"

// QoSRuleTypes are all types, in the order in which a policy shows its rules.
func QoSRuleTypes() []string {
	return []string{QoSBandwidthLimit, QoSDSCPMarking, QoSMinimumBandwidth, QoSMinimumPacketRate, QoSPacketRateLimit}
}

// QoSValues are the attributes that rules of a type have.
func QoSValues(ruleType string) []string {
	switch ruleType {
	case QoSBandwidthLimit:
		return []string{"max_kbps", "max_burst_kbps", "direction"}
	case QoSDSCPMarking:
		return []string{"dscp_mark"}
	case QoSMinimumBandwidth:
		return []string{"min_kbps", "direction"}
	case QoSMinimumPacketRate:
		return []string{"min_kpps", "direction"}
	case QoSPacketRateLimit:
		return []string{"max_kpps", "max_burst_kpps", "direction"}
	}
	return nil
}
