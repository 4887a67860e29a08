// Package client calls a Networking API as any client would, with the cloud
// described in a clouds.yaml. The commands of weft that act on a running weft use
// it, so they can do no more than their user may. Nouns are decoded into the
// structs of package weft, whose JSON form is that of the API.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/weftnet/weft"
)

// Cloud is an entry of clouds.yaml.
type Cloud struct {
	Auth               Auth   `yaml:"auth"`
	RegionName         string `yaml:"region_name"`
	IdentityAPIVersion int    `yaml:"identity_api_version"`
	Network            string `yaml:"network_endpoint_override,omitempty"` // in place of the catalogue's
	CACert             string `yaml:"cacert,omitempty"`
	Verify             *bool  `yaml:"verify,omitempty"` // nil is true
}

// Auth is how to log in to a cloud.
type Auth struct {
	AuthURL           string `yaml:"auth_url"`
	Username          string `yaml:"username"`
	Password          string `yaml:"password"`
	ProjectName       string `yaml:"project_name"`
	UserDomainName    string `yaml:"user_domain_name"`
	ProjectDomainName string `yaml:"project_domain_name"`
}

// Clouds is the content of a clouds.yaml.
type Clouds struct {
	Clouds map[string]Cloud `yaml:"clouds"`
}

// ReadClouds reads a clouds.yaml.
func ReadClouds(path string) (Clouds, error) {
	var c Clouds
	data, err := os.ReadFile(path)
	if err != nil {
		return c, err
	}
	if err := yaml.Unmarshal(data, &c); err != nil {
		return c, fmt.Errorf("reading %s: %w", path, err)
	}
	return c, nil
}

// Client is an authenticated client of one cloud. It is safe for concurrent use.
type Client struct {
	http    *http.Client
	token   string
	network string // base URL of the Networking API
	Project string // id of the project it works in
}

// Connect authenticates against the cloud of that name in the clouds.yaml at path.
func Connect(ctx context.Context, path, name string) (*Client, error) {
	clouds, err := ReadClouds(path)
	if err != nil {
		return nil, err
	}
	cloud, ok := clouds.Clouds[name]
	if !ok {
		return nil, fmt.Errorf("%s has no cloud named %q", path, name)
	}
	trust, err := cloud.trust()
	if err != nil {
		return nil, err
	}
	c := &Client{http: &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 32, TLSClientConfig: trust}}}
	if err := c.authenticate(ctx, cloud); err != nil {
		return nil, fmt.Errorf("authenticating at %s: %w", cloud.Auth.AuthURL, err)
	}
	return c, nil
}

// trust is which servers are believed.
func (c *Cloud) trust() (*tls.Config, error) {
	t := &tls.Config{InsecureSkipVerify: c.Verify != nil && !*c.Verify}
	if c.CACert == "" {
		return t, nil
	}
	pem, err := os.ReadFile(c.CACert)
	if err != nil {
		return nil, fmt.Errorf("reading cacert: %w", err)
	}
	t.RootCAs = x509.NewCertPool()
	if !t.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate in PEM", c.CACert)
	}
	return t, nil
}

// Network is where the Networking API is, as the client found it.
func (c *Client) Network() string { return c.network }

// token is the part of Keystone's answer that is used.
type token struct {
	Token struct {
		Project struct{ ID string }
		Catalog []struct {
			Type      string
			Endpoints []struct{ Interface, Region, URL string }
		}
	}
}

func (c *Client) authenticate(ctx context.Context, cloud Cloud) error {
	a := cloud.Auth
	body := map[string]any{"auth": map[string]any{
		"identity": map[string]any{"methods": []string{"password"}, "password": map[string]any{"user": map[string]any{
			"name": a.Username, "password": a.Password, "domain": map[string]string{"name": a.UserDomainName}}}},
		"scope": map[string]any{"project": map[string]any{"name": a.ProjectName, "domain": map[string]string{"name": a.ProjectDomainName}}},
	}}
	var t token
	h, err := c.call(ctx, http.MethodPost, strings.TrimSuffix(a.AuthURL, "/")+"/auth/tokens", body, &t)
	if err != nil {
		return err
	}
	c.token, c.Project = h.Get("X-Subject-Token"), t.Token.Project.ID
	base := cloud.Network
	for _, s := range t.Token.Catalog {
		for _, e := range s.Endpoints {
			here := cloud.RegionName == "" || e.Region == cloud.RegionName
			if base == "" && s.Type == "network" && e.Interface == "public" && here {
				base = e.URL
			}
		}
	}
	if base == "" {
		return fmt.Errorf("its catalogue has no network service in region %q", cloud.RegionName)
	}
	c.network = strings.TrimSuffix(base, "/") + "/v2.0/"
	return nil
}

// call sends a request and decodes the answer into out, unless that is nil.
// Refusals come back as *weft.Error.
func (c *Client) call(ctx context.Context, method, url string, in, out any) (http.Header, error) {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if c.token != "" {
		req.Header.Set("X-Auth-Token", c.token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if res.StatusCode >= 300 {
		return nil, refusal(res.StatusCode, data)
	}
	if out != nil && len(data) > 0 {
		if err := json.Unmarshal(data, out); err != nil {
			return nil, fmt.Errorf("decoding the answer of %s %s: %w", method, url, err)
		}
	}
	return res.Header, nil
}

func refusal(status int, data []byte) error {
	var e struct {
		NeutronError *weft.Error
		Error        *struct{ Title, Message string }
	}
	kinds := map[int]weft.Kind{400: weft.BadRequest, 401: weft.Unauthorized, 403: weft.Forbidden, 404: weft.NotFound, 409: weft.Conflict, 412: weft.Precondition, 503: weft.Unavailable}
	if json.Unmarshal(data, &e) == nil && e.NeutronError != nil {
		e.NeutronError.Kind = kinds[status]
		return e.NeutronError
	}
	if e.Error != nil {
		return weft.Errorf(kinds[status], e.Error.Title, "%s", e.Error.Message)
	}
	return weft.Errorf(kinds[status], "HTTP", "status %d", status)
}

// Create posts a noun and returns what was made.
func Create[T any](ctx context.Context, c *Client, collection, noun string, in map[string]any) (*T, error) {
	var out map[string]*T
	_, err := c.call(ctx, http.MethodPost, c.network+collection, map[string]any{noun: in}, &out)
	if err != nil {
		return nil, fmt.Errorf("creating a %s: %w", noun, err)
	}
	return out[noun], nil
}

// Get reads a noun by id.
func Get[T any](ctx context.Context, c *Client, collection, noun, id string) (*T, error) {
	var out map[string]*T
	if _, err := c.call(ctx, http.MethodGet, c.network+collection+"/"+id, nil, &out); err != nil {
		return nil, fmt.Errorf("reading %s %s: %w", noun, id, err)
	}
	return out[noun], nil
}

// Update changes a noun.
func Update[T any](ctx context.Context, c *Client, collection, noun, id string, in map[string]any) (*T, error) {
	var out map[string]*T
	if _, err := c.call(ctx, http.MethodPut, c.network+collection+"/"+id, map[string]any{noun: in}, &out); err != nil {
		return nil, fmt.Errorf("updating %s %s: %w", noun, id, err)
	}
	return out[noun], nil
}

// List reads the nouns that a query string selects.
func List[T any](ctx context.Context, c *Client, collection, query string) ([]*T, error) {
	out := map[string]json.RawMessage{}
	if query != "" {
		query = "?" + query
	}
	if _, err := c.call(ctx, http.MethodGet, c.network+collection+query, nil, &out); err != nil {
		return nil, fmt.Errorf("listing %s: %w", collection, err)
	}
	var list []*T
	err := json.Unmarshal(out[strings.ReplaceAll(collection, "-", "_")], &list)
	return list, err
}

// Put calls an action on a noun; in and out are whole bodies.
func (c *Client) Put(ctx context.Context, path string, in, out any) error {
	_, err := c.call(ctx, http.MethodPut, c.network+path, in, out)
	return err
}

// Delete removes a noun. One that is not there counts as removed.
func (c *Client) Delete(ctx context.Context, collection, id string) error {
	_, err := c.call(ctx, http.MethodDelete, c.network+collection+"/"+id, nil, nil)
	if weft.IsKind(err, weft.NotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("deleting %s %s: %w", collection, id, err)
	}
	return nil
}
