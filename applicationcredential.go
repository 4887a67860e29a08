package weft

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// ApplicationCredential lets a program act for a user in one project, the noun's,
// without the user's password. The secret is not part of the noun: its hash is kept beside it.
type ApplicationCredential struct {
	Meta
	UserID       string       `json:"user_id"`
	Name         string       `json:"name"` // one of the user's own
	Description  ID           `json:"description"`
	RoleIDs      []string     `json:"role_ids"`
	Expires      *int64       `json:"expires,omitempty"`      // in microseconds of the Unix clock; nil is never
	Unrestricted *bool        `json:"unrestricted,omitempty"` // nil, as Keystone has it, is false and shown as null
	Rules        List[string] `json:"rules,omitempty"`        // ids of access rules
}

// AccessRule is a kind of request that a user's application credentials may be
// limited to.
type AccessRule struct {
	Meta
	UserID  string `json:"user_id"`
	Service string `json:"service"` // type in the catalogue
	Method  string `json:"method"`
	Path    string `json:"path"`
}

// Covers reports whether the rule's path is that of a request. In a rule's path *
// and {anything} stand for one segment or part of one, and ** for anything, with
// slashes too.
func (r *AccessRule) Covers(path string) bool {
	var b strings.Builder
	rest := r.Path
	for rest != "" {
		n := 1
		switch end := strings.IndexByte(rest, '}'); {
		case strings.HasPrefix(rest, "**"):
			n = 2
			b.WriteString(".*")
		case rest[0] == '{' && end > 0:
			n = end + 1
			b.WriteString("[^/]+")
		case rest[0] == '*':
			b.WriteString("[^/]+")
		default:
			_, n = utf8.DecodeRuneInString(rest)
			b.WriteString(regexp.QuoteMeta(rest[:n]))
		}
		rest = rest[n:]
	}
	// Expressions of this package take time in proportion to the path, whatever a
	// user has thought of.
	match, err := regexp.MatchString("^(?s:"+b.String()+")$", path)
	return err == nil && match
}
