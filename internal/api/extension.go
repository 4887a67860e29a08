package api

import (
	"net/http"

	"github.com/weftnet/weft"
)

// ownExtensions are those whose behaviour is in the server itself, for every
// resource.
var ownExtensions = []string{
	"empty-string-filtering", "filter-validation", "pagination", "project-id", "revision-if-match", "sort-key-validation", "sorting",
	"standard-attr-description", "standard-attr-revisions", "standard-attr-tag", "standard-attr-timestamp",
}

func (e extension) json() map[string]any {
	return map[string]any{"alias": e.alias, "name": e.name, "description": e.description, "updated": e.updated, "links": []any{}}
}

func lookup(alias string) *extension {
	for i := range catalogue {
		if catalogue[i].alias == alias {
			return &catalogue[i]
		}
	}
	return nil
}

func (s *Server) extensions(rq *httpRequest, rest []string) error {
	switch {
	case rq.r.Method != http.MethodGet:
		return notAllowed()
	case len(rest) == 0:
		list := []any{}
		for _, e := range catalogue {
			if s.aliases[e.alias] {
				list = append(list, e.json())
			}
		}
		writeJSON(rq.w, http.StatusOK, map[string]any{"extensions": list})
		return nil
	}
	if e := lookup(rest[0]); e != nil && s.aliases[e.alias] {
		writeJSON(rq.w, http.StatusOK, map[string]any{"extension": e.json()})
		return nil
	}
	return weft.Errorf(weft.NotFound, "HTTPNotFound", "Extension with alias %s does not exist", rest[0])
}
