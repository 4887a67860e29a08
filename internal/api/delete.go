package api

import (
	"errors"
	"net/http"
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// errDryRun ends the transaction of a deletion that is only tried, errForeign that of
// one which has reached what is not the caller's.
var (
	errDryRun  = errors.New("dry run")
	errForeign = errors.New("not the caller's")
)

// deletion is what a DELETE asks for: with cascade=true what depends on the noun goes
// too; with dry_run=true nothing goes, and the answer says what would.
type deletion struct{ cascade, dry bool }

// delete serves DELETE on a noun.
func (r *served[T]) delete(rq *httpRequest, id string) error {
	if rq.r.ContentLength > 0 {
		return badRequest("Request body is not supported in DELETE.")
	}
	how, err := r.deletion(rq)
	if err != nil {
		return err
	}
	changes, err := r.carryOut(rq, id, how)
	switch {
	case errors.Is(err, errForeign):
		return r.plainRefusal(rq, id)
	case errors.Is(err, errDryRun):
		writeJSON(rq.w, http.StatusOK, foreseen(own(rq.caller, id, changes)))
		return nil
	case err != nil:
		return err
	}
	rq.w.WriteHeader(http.StatusNoContent)
	return nil
}

// deletion reads how to delete from the query.
func (r *served[T]) deletion(rq *httpRequest) (how deletion, err error) {
	if how.cascade, err = rq.flag("cascade"); err != nil {
		return how, err
	}
	if how.cascade && r.Cascade == nil {
		return how, badRequest("Cascading deletion is not supported for %s", r.Plural)
	}
	how.dry, err = rq.flag("dry_run")
	return how, err
}

// carryOut deletes in one transaction, which is not kept where the error is errDryRun
// or errForeign. The changes are those of what is looked at afterwards.
func (r *served[T]) carryOut(rq *httpRequest, id string, how deletion) (changes []store.Change, err error) {
	do := r.Delete
	if how.cascade {
		do = r.Cascade
	}
	err = rq.update(func(tx *store.Tx) error {
		if !how.cascade && !how.dry {
			return r.remove(rq, tx, id, do)
		}
		start, err := tx.Head()
		if err != nil {
			return err
		}
		if err := r.remove(rq, tx, id, do); err != nil {
			return err
		}
		changes, err = tx.Changes(start, 1<<20)
		switch {
		case err != nil:
			return err
		case how.cascade && foreign(rq.caller, changes):
			return errForeign
		case how.dry:
			return errDryRun
		}
		return nil
	})
	return changes, err
}

// foreign reports whether a cascade has reached rows of other projects. What belongs to
// no project is the cloud's own; subnets and sharings go with their network whoever made
// them, without a cascade too.
func foreign(c *weft.Caller, changes []store.Change) bool {
	return !c.Admin && slices.ContainsFunc(changes, func(ch store.Change) bool {
		return ch.ProjectID != "" && ch.ProjectID != c.ProjectID && ch.Noun != store.Subnets.Name && ch.Noun != store.RBACPolicies.Name
	})
}

// plainRefusal is the refusal of the deletion without cascade.
func (r *served[T]) plainRefusal(rq *httpRequest, id string) error {
	_, err := r.carryOut(rq, id, deletion{dry: true})
	if errors.Is(err, errDryRun) {
		err = weft.Errorf(weft.Conflict, "InUse", "The resource is in use.")
	}
	return err
}

// own are the changes that the caller is told of: of the noun itself and of the rows of
// its project. Admins are told of all.
func own(c *weft.Caller, id string, changes []store.Change) []store.Change {
	return slices.DeleteFunc(changes, func(ch store.Change) bool {
		return !c.Admin && ch.ID != id && ch.ProjectID != c.ProjectID
	})
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
