package keystone

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/authtoken"
)

// named is how Keystone shows what has an id and a name.
type named struct{ ID, Name string }

// note is the part of a token that is used.
type note struct {
	Token struct {
		ExpiresAt time.Time `json:"expires_at"`
		User      struct {
			named
			Domain named
		}
		Project *named
		Domain  *named
		System  *struct{ All bool }
		Roles   []named
		AppCred *struct {
			Rules []struct{ Service, Method, Path string } `json:"access_rules"`
		} `json:"application_credential"`
	}
}

// parse reads Keystone's answer.
func parse(data []byte) (*authtoken.Subject, error) {
	var n note
	if err := json.Unmarshal(data, &n); err != nil {
		return nil, fmt.Errorf("reading keystone's answer: %w", err)
	}
	t := &n.Token
	if t.User.ID == "" || t.ExpiresAt.IsZero() {
		return nil, errors.New("keystone's answer has no user or no end")
	}
	c := weft.Caller{UserID: t.User.ID, UserName: t.User.Name, UserDomainID: t.User.Domain.ID}
	if t.Project != nil {
		c.ProjectID, c.ProjectName = t.Project.ID, t.Project.Name
	}
	if t.Domain != nil {
		c.DomainID = t.Domain.ID
	}
	c.System = t.System != nil && t.System.All
	for _, r := range t.Roles {
		c.Roles = append(c.Roles, r.Name)
	}
	s := &authtoken.Subject{Caller: c, Expires: t.ExpiresAt}
	if t.AppCred != nil && t.AppCred.Rules != nil {
		s.Rules = []weft.AccessRule{} // no rule is not the same as no rules
		for _, r := range t.AppCred.Rules {
			s.Rules = append(s.Rules, weft.AccessRule{Service: r.Service, Method: r.Method, Path: r.Path})
		}
	}
	return s, nil
}
