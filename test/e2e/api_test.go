package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/weftnet/weft/internal/client"
)

// user is somebody with a token, who can send what no proper client would.
type user struct {
	base, token, project string
}

// login takes a token for the cloud of that name in clouds.yaml.
func (c *cloud) login(name string) *user {
	c.t.Helper()
	clouds, err := client.ReadClouds(c.clouds())
	if err != nil {
		c.t.Fatal(err)
	}
	return c.loginAs(name, clouds.Clouds[name].Auth)
}

func (c *cloud) loginAs(name string, a client.Auth) *user {
	c.t.Helper()
	named := func(name string) map[string]any {
		return map[string]any{"name": name, "domain": map[string]string{"name": "Default"}}
	}
	who := named(a.Username)
	who["password"] = a.Password
	body, _ := json.Marshal(map[string]any{"auth": map[string]any{
		"identity": map[string]any{"methods": []string{"password"}, "password": map[string]any{"user": who}},
		"scope":    map[string]any{"project": named(a.ProjectName)}}})
	res, err := send(http.MethodPost, a.AuthURL+"/auth/tokens", string(body), http.Header{"Content-Type": {"application/json"}})
	if err != nil || res.status != http.StatusCreated {
		c.t.Fatalf("logging in as %s: %v %s", name, err, res.body)
	}
	var token struct {
		Token struct{ Project struct{ ID string } }
	}
	if err := json.Unmarshal(res.body, &token); err != nil {
		c.t.Fatal(err)
	}
	return &user{base: fmt.Sprintf("http://127.0.0.1:%d", c.network), token: res.header.Get("X-Subject-Token"), project: token.Token.Project.ID}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// send sends one request as it is.
func send(method, url, body string, h http.Header) (answer, error) {
	var r io.Reader
	if body != "" {
		r = bytes.NewReader([]byte(body))
	}
	req, err := http.NewRequest(method, url, r)
	if err != nil {
		return answer{}, err
	}
	req.Header = h
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, data}, err
}

// do sends a request with the user's token; more are headers as "Name: value".
func (u *user) do(method, path, body string, more ...string) (answer, error) {
	h := http.Header{"Content-Type": {"application/json"}}
	if u.token != "" {
		h.Set("X-Auth-Token", u.token)
	}
	for _, line := range more {
		name, value, _ := strings.Cut(line, ": ")
		h.Set(name, value)
	}
	return send(method, u.base+path, body, h)
}

// make makes a noun and returns its id.
func (u *user) make(c *cloud, collection, noun, attributes string) string {
	c.t.Helper()
	res, err := u.do(http.MethodPost, "/v2.0/"+collection, `{"`+noun+`":`+attributes+`}`)
	if err != nil || res.status != http.StatusCreated {
		c.t.Fatalf("making a %s %s: %v %d %s", noun, attributes, err, res.status, res.body)
	}
	var out map[string]struct{ ID string }
	if err := json.Unmarshal(res.body, &out); err != nil {
		c.t.Fatal(err)
	}
	return out[noun].ID
}
