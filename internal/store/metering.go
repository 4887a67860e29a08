package store

import "github.com/weftnet/weft"

// MeteringLabels keeps metering labels. As in Neutron, being
// shared shows them to nobody: its policy asks for the owner.
var MeteringLabels = Table[weft.MeteringLabel]{
	Name: "metering_labels", Noun: "metering_label", NotFound: "MeteringLabelNotFound", Quote: "'", Label: "Metering label", Ending: " does not exist.",
	Columns: []Column[weft.MeteringLabel]{
		{Name: "name", Value: func(l *weft.MeteringLabel) any { return l.Name }},
		{Name: "description", Value: func(l *weft.MeteringLabel) any { return l.Description }},
		{Name: "shared", Value: func(l *weft.MeteringLabel) any { return btoi(l.Shared) }},
	},
}.Ready()

// MeteringLabelRules keeps the rules of metering labels; they belong to the project
// of their label, but Neutron shows them to admins alone: its rule asks for a project
// that they do not show.
var MeteringLabelRules = Table[weft.MeteringLabelRule]{
	Name: "metering_label_rules", Noun: "metering_label_rule", NotFound: "MeteringLabelRuleNotFound", Quote: "'", Label: "Metering label rule", Ending: " does not exist.",
	Columns: []Column[weft.MeteringLabelRule]{
		{Name: "metering_label_id", Value: func(r *weft.MeteringLabelRule) any { return r.MeteringLabelID }},
		{Name: "direction", Value: func(r *weft.MeteringLabelRule) any { return r.Direction }},
		{Name: "excluded", Value: func(r *weft.MeteringLabelRule) any { return btoi(r.Excluded) }},
		{Name: "remote_ip_prefix", Value: func(r *weft.MeteringLabelRule) any { return string(r.RemoteIPPrefix) }},
		{Name: "source_ip_prefix", Value: func(r *weft.MeteringLabelRule) any { return string(r.SourceIPPrefix) }},
		{Name: "destination_ip_prefix", Value: func(r *weft.MeteringLabelRule) any { return string(r.DestinationIPPrefix) }},
	},
	Visible: func(*weft.Caller) Cond { return Where("1 = 0") },
}.Ready()
