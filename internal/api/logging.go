package api

import (
	"net/http"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// LogService is what the API asks of logs.
type LogService interface {
	CreateLog(tx *store.Tx, l *weft.Log) error
	UpdateLog(tx *store.Tx, l *weft.Log) error
	DeleteLog(tx *store.Tx, l *weft.Log) error
	Loggable() []string // resource types
}

// Logs is the table of logs.
func Logs(svc LogService) *Resource[weft.Log] {
	return &Resource[weft.Log]{
		Singular: "log", Plural: "logs", Path: "log/logs", Table: store.Logs,
		Implements: []string{"logging"},
		Attrs: table(ident(), standard(), ext("logging",
			row("name", "CUVFS", "", text(255)),
			row("resource_type", "CVFSR", Unset, text(255)),
			row("resource_id", "CVFS", nil, uuidType.orNull()),
			row("event", "CVF", "ALL", oneOf("ACCEPT", "DROP", "ALL")),
			row("target_id", "CVFS", nil, uuidType.orNull()),
			row("enabled", "CUVFS", true, boolean))),
		Create: func(tx *store.Tx, l *weft.Log, _ Request) error { return svc.CreateLog(tx, l) },
		Update: func(tx *store.Tx, _, l *weft.Log, _ Request) error { return svc.UpdateLog(tx, l) },
		Delete: svc.DeleteLog,
	}
}

// LoggableResources lists the types of resources that can be logged.
func LoggableResources(svc LogService) func(*httpRequest, []string) error {
	return func(rq *httpRequest, rest []string) error {
		if rq.r.Method != http.MethodGet || len(rest) > 0 {
			return notAllowed()
		}
		list := []any{}
		if rq.s.Policy.Allow("get_loggable_resource", rq.caller, rq.ownProject) {
			for _, t := range svc.Loggable() {
				list = append(list, map[string]string{"type": t})
			}
		}
		writeJSON(rq.w, http.StatusOK, map[string]any{"loggable_resources": list})
		return nil
	}
}

// ownProject is the target of rules about what belongs to nobody: the caller's own.
func (rq *httpRequest) ownProject(attr string) any {
	if attr == "project_id" || attr == "tenant_id" {
		return rq.caller.ProjectID
	}
	return nil
}
