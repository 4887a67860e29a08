package identity

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/weftnet/weft"
)

// field is one attribute of a noun on the wire.
type field[T any] struct {
	name     string
	get      func(*T) any                    // what is shown; nil: nothing
	set      func(*T, json.RawMessage) error // nil: given values are ignored
	required bool
	fixed    bool // may be given when creating only
	items    int  // of the longest list; a field without it takes none
}

// accept takes what a client gives, unless it is too long a list.
func (f field[T]) accept(v *T, raw json.RawMessage) error {
	var list []json.RawMessage
	isList := json.Unmarshal(raw, &list) == nil && list != nil
	if isList && f.items > 0 && len(list) > f.items {
		return invalid(f.name, "%s is too long", repr(raw))
	}
	if err := f.set(v, raw); err != nil {
		return err
	}
	if isList && f.items == 0 {
		return invalid(f.name, "%s is an array", repr(raw))
	}
	return nil
}

func (f field[T]) require() field[T] { f.required = true; return f }
func (f field[T]) fix() field[T]     { f.fixed = true; return f }

// name is text that is not blank, of at most limit characters.
func name[T any](name string, limit int, at func(*T) *string) field[T] {
	return field[T]{name: name,
		get: func(v *T) any { return *at(v) },
		set: func(v *T, raw json.RawMessage) error {
			s, err := text(name, raw)
			switch {
			case err != nil:
				return err
			case strings.TrimSpace(s) == "":
				return invalid(name, "%s is too short", repr(raw))
			case utf8.RuneCountInString(s) > limit:
				return invalid(name, "%s is too long", repr(raw))
			}
			*at(v) = s
			return nil
		}}
}

// note is free text; null is none.
func note[T any](name string, at func(*T) *string) field[T] {
	return field[T]{name: name,
		get: func(v *T) any { return *at(v) },
		set: func(v *T, raw json.RawMessage) (err error) { *at(v), err = textOrNull(name, raw); return err }}
}

// ref is an id, or text, that may be null.
func ref[T any](name string, at func(*T) *weft.ID) field[T] {
	return field[T]{name: name,
		get: func(v *T) any { return *at(v) },
		set: func(v *T, raw json.RawMessage) error {
			s, err := textOrNull(name, raw)
			*at(v) = weft.ID(s)
			return err
		}}
}

// flag is true or false.
func flag[T any](name string, at func(*T) *bool) field[T] {
	return field[T]{name: name,
		get: func(v *T) any { return *at(v) },
		set: func(v *T, raw json.RawMessage) error {
			switch string(raw) {
			case "true":
				*at(v) = true
			case "false":
				*at(v) = false
			default:
				return invalid(name, "%s is not of type 'boolean'", repr(raw))
			}
			return nil
		}}
}

// options is an object that is kept as it is. An update changes the keys it has.
func options[T any](at func(*T) *weft.Extra) field[T] {
	return field[T]{name: "options",
		get: func(v *T) any {
			if *at(v) == nil {
				return struct{}{}
			}
			return *at(v)
		},
		set: func(v *T, raw json.RawMessage) error {
			given, err := object(raw, "options")
			if err != nil {
				return err
			}
			*at(v) = merge(*at(v), given)
			return nil
		}}
}

// The longest lists. That of tags is Keystone's.
const (
	maxTags  = 80
	maxRoles = 100 // of an application credential
	maxRules = 100
)

// tags is a list of different short texts.
func tags[T any](at func(*T) *weft.List[string]) field[T] {
	return field[T]{name: "tags", items: maxTags,
		get: func(v *T) any { return *at(v) },
		set: func(v *T, raw json.RawMessage) error {
			var list []string
			if err := json.Unmarshal(raw, &list); err != nil || list == nil {
				return invalid("tags", "%s is not of type 'array'", repr(raw))
			}
			for _, t := range list {
				if err := checkTag(t); err != nil {
					return err
				}
			}
			slices.Sort(list)
			*at(v) = slices.Compact(list)
			return nil
		}}
}

func checkTag(t string) error {
	if t == "" || utf8.RuneCountInString(t) > 255 || strings.ContainsAny(t, "/,") || !storable(t) {
		return invalid("tags", "'%s' is not a tag", t)
	}
	return nil
}

// merge sets keys of an object; a null takes a key away.
func merge(old weft.Extra, given map[string]json.RawMessage) weft.Extra {
	merged := weft.Extra{}
	maps.Copy(merged, old)
	for k, raw := range given {
		if string(raw) == "null" {
			delete(merged, k)
			continue
		}
		merged[k] = raw
	}
	if len(merged) == 0 {
		return nil
	}
	return merged
}

func invalid(field, format string, args ...any) error {
	return badRequest("Invalid input for field '"+field+"': "+format, args...)
}

// text decodes a string. Texts become columns, and PostgreSQL's texts cannot have
// the character 0.
func text(field string, raw json.RawMessage) (string, error) {
	var s string
	if len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		return "", invalid(field, "%s is not of type 'string'", repr(raw))
	}
	if !storable(s) {
		return "", invalid(field, "the text has a character that cannot be stored")
	}
	return s, nil
}

func textOrNull(field string, raw json.RawMessage) (string, error) {
	if string(raw) == "null" {
		return "", nil
	}
	return text(field, raw)
}

// object decodes a JSON object, and nothing but one. field names it in the error.
func object(raw []byte, field string) (map[string]json.RawMessage, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(raw, &m); err != nil || m == nil {
		return nil, invalid(field, "%s is not of type 'object'", repr(raw))
	}
	return m, nil
}

// repr shows a JSON value as Keystone, being Python, does. Long values are cut.
func repr(raw []byte) string {
	raw = bytes.TrimSpace(raw)
	var s string
	switch {
	case string(raw) == "null" || len(raw) == 0:
		return "None"
	case string(raw) == "true":
		return "True"
	case string(raw) == "false":
		return "False"
	case raw[0] == '"' && json.Unmarshal(raw, &s) == nil:
		return "'" + cut(s) + "'"
	}
	return cut(string(raw))
}

func cut(s string) string {
	runes := []rune(s)
	if len(runes) > 100 {
		return string(runes[:100]) + "…"
	}
	return s
}
