package api

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// tags serves /{path}/{id}/tags and /{path}/{id}/tags/{tag}.
func (r *served[T]) tags(rq *httpRequest, id string, rest []string) error {
	switch {
	case len(rest) == 0:
		return r.allTags(rq, id)
	case len(rest) == 1:
		tag, err := url.PathUnescape(rest[0])
		if err != nil || !isText(tag) {
			return badRequest("'%s' is not a valid tag", rest[0])
		}
		return r.oneTag(rq, id, tag)
	}
	return notFound()
}

func (r *served[T]) tagParent(rq *httpRequest, tx *store.Tx, id, action string) (*T, error) {
	v, err := r.load(rq, tx, id)
	if weft.IsKind(err, weft.NotFound) {
		return nil, weft.Errorf(weft.NotFound, "TagResourceNotFound", "Resource %s %s could not be found.", r.Plural, id)
	}
	if err != nil {
		return nil, err
	}
	if action != "get" {
		j := &judge[T]{r: r, rq: rq, tx: tx, noun: v}
		if err := j.allow("update_" + r.rule() + ":tags"); err != nil {
			return nil, err
		}
	}
	return v, nil
}

func (r *served[T]) allTags(rq *httpRequest, id string) error {
	switch rq.r.Method {
	case http.MethodGet:
		v, err := r.tagParent(rq, rq.read(), id, "get")
		if err != nil {
			return err
		}
		writeJSON(rq.w, http.StatusOK, map[string]any{"tags": base(v).Tags})
		return nil
	case http.MethodPut, http.MethodPost:
		return r.setTags(rq, id)
	case http.MethodDelete:
		return r.changeTags(rq, id, http.StatusNoContent, func([]string) ([]string, error) { return nil, nil })
	}
	return notAllowed()
}

func (r *served[T]) setTags(rq *httpRequest, id string) error {
	body, err := rq.readBody("update_" + r.rule() + ":tags")
	if err != nil {
		return err
	}
	tags, err := tagList(body)
	if err != nil {
		return err
	}
	add := rq.r.Method == http.MethodPost
	return r.changeTags(rq, id, http.StatusOK, func(old []string) ([]string, error) {
		if add {
			tags = append(slices.Clone(old), tags...)
		}
		slices.Sort(tags)
		return slices.Compact(tags), nil
	})
}

func tagList(body map[string]any) ([]string, error) {
	v, ok := body["tags"]
	if !ok {
		return nil, weft.Invalid("Invalid tags body")
	}
	if v == nil {
		return nil, weft.Invalid("'%s' is not a list", py(v))
	}
	v, reason, err := uniqueTexts(255, maxMembers).accept(v)
	if reason != "" {
		err = weft.Invalid("%s", reason)
	}
	if err != nil {
		return nil, err
	}
	list := v.([]any)
	out := make([]string, len(list))
	for i, tag := range list {
		out[i] = tag.(string)
	}
	return out, nil
}

func checkTag(v any) error {
	if reason := text(255).Validate(v); reason != "" {
		return weft.Invalid("%s", reason)
	}
	return nil
}

func (r *served[T]) oneTag(rq *httpRequest, id, tag string) error {
	missing := weft.Errorf(weft.NotFound, "TagNotFound", "Tag %s could not be found.", tag)
	switch rq.r.Method {
	case http.MethodGet:
		v, err := r.tagParent(rq, rq.read(), id, "get")
		if err != nil {
			return err
		}
		if !slices.Contains(base(v).Tags, tag) {
			return missing
		}
		rq.w.WriteHeader(http.StatusNoContent)
		return nil
	case http.MethodPut:
		if err := checkTag(tag); err != nil {
			return err
		}
		return r.changeTags(rq, id, http.StatusCreated, func(old []string) ([]string, error) {
			if slices.Contains(old, tag) {
				return old, nil
			}
			out := append(slices.Clone(old), tag)
			slices.Sort(out)
			return out, nil
		})
	case http.MethodDelete:
		return r.changeTags(rq, id, http.StatusNoContent, func(old []string) ([]string, error) {
			i := slices.Index(old, tag)
			if i < 0 {
				return nil, missing
			}
			return slices.Delete(slices.Clone(old), i, i+1), nil
		})
	}
	return notAllowed()
}

// limitTags refuses too many tags. What had more before there was a limit may lose
// some.
func (r *served[T]) limitTags(old, tags []string) error {
	if len(tags) <= maxTags || len(tags) < len(old) {
		return nil
	}
	return weft.Errorf(weft.BadRequest, "BadRequest", "Bad %s request: The number of tags exceed the per-resource limit of %d.",
		r.rule(), maxTags)
}

// changeTags replaces the tags of a noun by what edit makes of them.
func (r *served[T]) changeTags(rq *httpRequest, id string, status int, edit func([]string) ([]string, error)) error {
	var tags []string
	err := rq.update(func(tx *store.Tx) error {
		v, err := r.tagParent(rq, tx, id, "update")
		if err != nil {
			return err
		}
		if tags, err = edit(base(v).Tags); err != nil {
			return err
		}
		if err := r.limitTags(base(v).Tags, tags); err != nil {
			return err
		}
		base(v).Tags = tags
		return r.Table.Update(tx, v)
	})
	switch {
	case err != nil:
		return err
	case status == http.StatusOK:
		writeJSON(rq.w, status, map[string]any{"tags": weft.List[string](tags)})
	case status == http.StatusCreated:
		return rq.write(status, []byte("null"))
	default:
		rq.w.WriteHeader(status)
	}
	return nil
}
