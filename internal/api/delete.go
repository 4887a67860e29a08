package api

import (
	"errors"
	"net/http"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// errDryRun ends the transaction of a deletion that is only tried.
var errDryRun = errors.New("dry run")

// delete serves DELETE on a noun. With cascade=true what depends on it goes too; with
// dry_run=true nothing goes, and the answer says what would.
func (r *served[T]) delete(rq *httpRequest, id string) error {
	if rq.r.ContentLength > 0 {
		return badRequest("Request body is not supported in DELETE.")
	}
	do, err := r.deletion(rq)
	if err != nil {
		return err
	}
	dry, err := rq.flag("dry_run")
	if err != nil {
		return err
	}
	var changes []store.Change
	err = rq.update(func(tx *store.Tx) error {
		start, err := rq.mark(tx, dry)
		if err != nil {
			return err
		}
		if err := r.remove(rq, tx, id, do); err != nil || !dry {
			return err
		}
		if changes, err = tx.Changes(start, 1<<20); err != nil {
			return err
		}
		return errDryRun
	})
	switch {
	case dry && errors.Is(err, errDryRun):
		writeJSON(rq.w, http.StatusOK, foreseen(changes))
		return nil
	case err != nil:
		return err
	}
	rq.w.WriteHeader(http.StatusNoContent)
	return nil
}

// mark is the end of the change log, when what follows is to be looked at.
func (rq *httpRequest) mark(tx *store.Tx, wanted bool) (int64, error) {
	if !wanted {
		return 0, nil
	}
	return tx.Head()
}

// deletion is the service function that a DELETE asks for.
func (r *served[T]) deletion(rq *httpRequest) (func(*store.Tx, *T) error, error) {
	cascade, err := rq.flag("cascade")
	switch {
	case err != nil:
		return nil, err
	case !cascade:
		return r.Delete, nil
	case r.Cascade == nil:
		return nil, badRequest("Cascading deletion is not supported for %s", r.Plural)
	}
	return r.Cascade, nil
}

func (r *served[T]) remove(rq *httpRequest, tx *store.Tx, id string, do func(*store.Tx, *T) error) error {
	v, err := r.load(rq, tx, id)
	if err != nil {
		return err
	}
	if err := rq.checkRevision(base(v)); err != nil {
		return err
	}
	if err := r.mayWrite(rq, tx, "delete", v, Request{}, v); err != nil {
		return err
	}
	return do(tx, v)
}

// flag is a parameter of the query that is true or false; absent is false.
func (rq *httpRequest) flag(name string) (bool, error) {
	s := rq.query().Get(name)
	if s == "" {
		return false, nil
	}
	v, err := boolean.Convert(s)
	if err != nil {
		return false, err
	}
	return v == true, nil
}

// foresight is what a deletion would do. Nouns are named as their collections.
type foresight struct {
	Deleted weft.List[reference] `json:"deleted"`
	Changed weft.List[reference] `json:"changed"`
}

type reference struct {
	Resource  string `json:"resource"`
	ID        string `json:"id"`
	ProjectID string `json:"project_id"`
}

func foreseen(changes []store.Change) map[string]foresight {
	var f foresight
	gone, seen := map[string]bool{}, map[string]bool{}
	for _, c := range changes {
		if c.Op == store.OpDelete {
			gone[c.ID] = true
			f.Deleted = append(f.Deleted, reference{c.Noun, c.ID, c.ProjectID})
		}
	}
	for _, c := range changes {
		if !gone[c.ID] && !seen[c.ID] {
			seen[c.ID] = true
			f.Changed = append(f.Changed, reference{c.Noun, c.ID, c.ProjectID})
		}
	}
	return map[string]foresight{"dry_run": f}
}
