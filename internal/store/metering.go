package store

import "github.com/weftnet/weft"

// MeteringLabels keeps metering labels. Every project sees the shared ones.
var MeteringLabels = Table[weft.MeteringLabel]{
	Name: "metering_labels", Noun: "metering_label", NotFound: "MeteringLabelNotFound", Quote: "'", Label: "Metering label", Ending: " does not exist.",
	Columns: []Column[weft.MeteringLabel]{
		{Name: "name", Value: func(l *weft.MeteringLabel) any { return l.Name }},
		{Name: "description", Value: func(l *weft.MeteringLabel) any { return l.Description }},
		{Name: "shared", Value: func(l *weft.MeteringLabel) any { return btoi(l.Shared) }},
	},
	Visible: sharedOrOwned,
}.Ready()

// MeteringLabelRules keeps the rules of metering labels; they belong to the project
// of their label.
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
	Visible: func(c *weft.Caller) Cond {
		return Where("t.metering_label_id IN (SELECT l.id FROM metering_labels l WHERE l.project_id = ? OR l.shared = 1)", c.ProjectID)
	},
}.Ready()

func sharedOrOwned(c *weft.Caller) Cond {
	return Where("t.project_id = ? OR t.shared = 1", c.ProjectID)
}
