package api

import (
	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// MeteringService is what the API asks of metering.
type MeteringService interface {
	CreateLabel(tx *store.Tx, l *weft.MeteringLabel) error
	DeleteLabel(tx *store.Tx, l *weft.MeteringLabel) error
	CreateRule(tx *store.Tx, r *weft.MeteringLabelRule) error
	DeleteRule(tx *store.Tx, r *weft.MeteringLabelRule) error
}

// MeteringLabels is the table of metering labels.
func MeteringLabels(svc MeteringService) *Resource[weft.MeteringLabel] {
	return &Resource[weft.MeteringLabel]{
		Singular: "metering_label", Plural: "metering_labels", Path: "metering/metering-labels", Table: store.MeteringLabels,
		Implements: []string{"metering"},
		Attrs: table(ident(), ext("metering",
			row("name", "CVFS", "", text(255)),
			row("description", "CVFS", "", text(1024)),
			row("shared", "CVFS", false, boolean))),
		Create: func(tx *store.Tx, l *weft.MeteringLabel, _ Request) error { return svc.CreateLabel(tx, l) },
		Update: immutable[weft.MeteringLabel],
		Delete: svc.DeleteLabel,
	}
}

// MeteringLabelRules is the table of the rules of metering labels. Prefixes are
// checked by the service, for the errors that Neutron gives.
func MeteringLabelRules(svc MeteringService) *Resource[weft.MeteringLabelRule] {
	return &Resource[weft.MeteringLabelRule]{
		Singular: "metering_label_rule", Plural: "metering_label_rules", Path: "metering/metering-label-rules", Table: store.MeteringLabelRules,
		Implements: []string{"metering_source_and_destination_fields"},
		Attrs: table(identOnly(), ext("metering",
			row("metering_label_id", "CVFSR", Unset, uuidType),
			row("direction", "CVFSR", Unset, oneOf(weft.Ingress, weft.Egress)),
			row("excluded", "CVFS", false, boolean),
			row("remote_ip_prefix", "CVFS", nil, anyText)),
			ext("metering_source_and_destination_fields",
				row("source_ip_prefix", "CVFS", nil, anyText),
				row("destination_ip_prefix", "CVFS", nil, anyText))),
		Create: func(tx *store.Tx, r *weft.MeteringLabelRule, _ Request) error { return svc.CreateRule(tx, r) },
		Update: immutable[weft.MeteringLabelRule],
		Delete: svc.DeleteRule,
		Veiled: true,
		Parent: func(tx *store.Tx, r *weft.MeteringLabelRule) (parent, error) {
			l, err := store.MeteringLabels.Get(tx, r.MeteringLabelID)
			if err != nil {
				return parent{}, err
			}
			return parent{owner: l.ProjectID}, nil
		},
	}
}

// identOnly is the id, and the project in requests only.
func identOnly() []Attr {
	return []Attr{row("id", "VFS", Unset, uuidType), row("tenant_id", "C", Unset, text(255)), row("project_id", "C", Unset, text(255))}
}

// immutable is the update of nouns none of whose attributes can change: whatever a
// request names is refused before.
func immutable[T any](_ *store.Tx, _, _ *T, _ Request) error { return notAllowed() }
