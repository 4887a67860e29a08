package identity

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/weftnet/weft"
)

// userRef names a user, by id or by name in a domain.
type userRef struct {
	id     string
	name   string
	domain domainRef
}

// key tells references apart, however long they are.
func (r userRef) key() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", []string{r.id, r.name, r.domain.id, r.domain.name}))
	return string(sum[:])
}

// domainRef names a domain, by id or by name.
type domainRef struct{ id, name string }

// projectRef names a project, by id or by name in a domain.
type projectRef struct {
	id     string
	name   string
	domain domainRef
}

// authRequest is what a client asks for when it asks for a token.
type authRequest struct {
	from     string // the address that asks
	methods  []string
	user     userRef // of the method password
	password string
	token    string // of the method token

	credential credentialRef // of the method application_credential

	scope    string // "project", "domain", "system", "unscoped", or "" where the request does not say
	project  projectRef
	inDomain domainRef
}

// credentialRef names an application credential, by id or by name and user, and has
// its secret.
type credentialRef struct {
	id, name, secret string
	user             userRef
}

func (c *credentialRef) parse(identity map[string]json.RawMessage) error {
	in, err := part(identity, "application_credential", "identity")
	if err != nil {
		return err
	}
	if c.secret, err = secretText(in, "secret"); err != nil {
		return err
	}
	if c.id, err = secretText(in, "id"); err != nil || c.id != "" {
		return err
	}
	if c.name, err = secretText(in, "name"); err != nil {
		return err
	}
	if c.name == "" {
		return expecting("name or ID", "application credential")
	}
	u, err := part(in, "user", "application credential")
	if err == nil {
		c.user.id, c.user.name, c.user.domain, err = reference(u, "user")
	}
	return err
}

// parseAuth reads the body of POST /v3/auth/tokens. Errors are for the client and
// repeat no secret.
func parseAuth(body []byte) (*authRequest, error) {
	outer, err := object(body, "")
	if err != nil {
		return nil, badRequest("Malformed json in request body")
	}
	auth, err := part(outer, "auth", "request body")
	if err != nil {
		return nil, err
	}
	id, err := part(auth, "identity", "auth")
	if err != nil {
		return nil, err
	}
	a := new(authRequest)
	if err := a.parseIdentity(id); err != nil {
		return nil, err
	}
	if raw, given := auth["scope"]; given {
		if slices.Contains(a.methods, "application_credential") {
			return nil, weft.Errorf(weft.Unauthorized, "ApplicationCredentialAuthError",
				"Error authenticating with application credential: Application credentials cannot request a scope.")
		}
		return a, a.parseScope(raw)
	}
	return a, nil
}

// part is an object within an object.
func part(of map[string]json.RawMessage, key, in string) (map[string]json.RawMessage, error) {
	raw, given := of[key]
	if !given {
		return nil, expecting(key, in)
	}
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil || m == nil {
		return nil, badRequest("Invalid input for field '%s': it is not of type 'object'", key)
	}
	return m, nil
}

// secretText is a string that errors do not repeat; absent is "".
func secretText(of map[string]json.RawMessage, key string) (string, error) {
	var s string
	if raw, given := of[key]; given && (json.Unmarshal(raw, &s) != nil || !storable(s)) {
		return "", badRequest("Invalid input for field '%s': it is not of type 'string'", key)
	}
	return s, nil
}

// maxMethods is more than there are.
const maxMethods = 10

func (a *authRequest) parseIdentity(id map[string]json.RawMessage) error {
	if err := json.Unmarshal(id["methods"], &a.methods); err != nil || a.methods == nil {
		return expecting("methods", "identity")
	}
	if len(a.methods) > maxMethods {
		return invalid("methods", "too many methods")
	}
	for _, method := range a.methods {
		var err error
		switch method {
		case "password":
			err = a.parsePassword(id)
		case "token":
			var t map[string]json.RawMessage
			if t, err = part(id, "token", "identity"); err == nil {
				a.token, err = secretText(t, "id")
			}
		case "application_credential":
			err = a.credential.parse(id)
		default:
			err = weft.Errorf(weft.Unauthorized, "AuthMethodNotSupported", "Attempted to authenticate with an unsupported method.")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *authRequest) parsePassword(id map[string]json.RawMessage) error {
	outer, err := part(id, "password", "identity")
	if err != nil {
		return err
	}
	u, err := part(outer, "user", "password")
	if err != nil {
		return err
	}
	if _, given := u["password"]; !given {
		return expecting("password", "user")
	}
	if a.password, err = passwordIn(u["password"]); err != nil {
		return err
	}
	a.user.id, a.user.name, a.user.domain, err = reference(u, "user")
	return err
}

// reference reads an id, or a name and a domain.
func reference(of map[string]json.RawMessage, what string) (id, name string, in domainRef, err error) {
	if id, err = secretText(of, "id"); err != nil || id != "" {
		return id, "", in, err
	}
	if name, err = secretText(of, "name"); err != nil {
		return "", "", in, err
	}
	if name == "" {
		return "", "", in, expecting("name or id", what)
	}
	d, err := part(of, "domain", what)
	if err == nil {
		in, err = domainReference(d)
	}
	return "", name, in, err
}

func domainReference(of map[string]json.RawMessage) (d domainRef, err error) {
	if d.id, err = secretText(of, "id"); err != nil {
		return d, err
	}
	if d.name, err = secretText(of, "name"); err != nil {
		return d, err
	}
	if d.id == "" && d.name == "" {
		return d, expecting("name or id", "domain")
	}
	return d, nil
}

func (a *authRequest) parseScope(raw json.RawMessage) error {
	if string(raw) == `"unscoped"` {
		a.scope = "unscoped"
		return nil
	}
	sc, err := part(map[string]json.RawMessage{"scope": raw}, "scope", "auth")
	if err != nil {
		return err
	}
	if len(sc) != 1 {
		return badRequest("The scope must be exactly one of project, domain, system and unscoped.")
	}
	for kind := range sc {
		a.scope = kind
	}
	inner, err := part(sc, a.scope, "scope")
	if err != nil {
		return err
	}
	switch a.scope {
	case "project":
		a.project.id, a.project.name, a.project.domain, err = reference(inner, "project")
	case "domain":
		a.inDomain, err = domainReference(inner)
	case "system":
		if string(inner["all"]) != "true" {
			err = expecting("all", "system")
		}
	case "unscoped":
	default:
		err = badRequest("The scope '%s' is not supported.", cut(a.scope))
	}
	return err
}
