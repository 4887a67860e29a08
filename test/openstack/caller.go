package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// caller calls the APIs of the stack as a user in a project.
type caller struct {
	token   string
	project string
	user    string
}

// refusal is an answer that is no success.
type refusal struct {
	what   string
	status int
	body   string
}

func (r *refusal) Error() string { return fmt.Sprintf("%s: status %d: %s", r.what, r.status, r.body) }

// refused is whether an error is an answer with that status.
func refused(err error, status int) bool {
	var r *refusal
	return errors.As(err, &r) && r.status == status
}

// login gets a token for a user of the default domain in a project.
func login(ctx context.Context, user, project string) (*caller, error) {
	domain := map[string]string{"id": "default"}
	in := map[string]any{"auth": map[string]any{
		"identity": map[string]any{"methods": []string{"password"},
			"password": map[string]any{"user": map[string]any{"name": user, "domain": domain, "password": password}}},
		"scope": map[string]any{"project": map[string]any{"name": project, "domain": domain}}}}
	var out struct {
		Token struct{ Project struct{ ID string } }
	}
	c := &caller{user: user}
	h, err := c.call(ctx, "POST", keystoneURL+"/auth/tokens", in, &out)
	if err != nil {
		return nil, fmt.Errorf("logging in as %s: %w", user, err)
	}
	c.token, c.project = h.Get("X-Subject-Token"), out.Token.Project.ID
	return c, nil
}

// do calls an API; in and out are whole bodies, or nil.
func (c *caller) do(ctx context.Context, method, url string, in, out any) error {
	_, err := c.call(ctx, method, url, in, out)
	return err
}

func (c *caller) call(ctx context.Context, method, url string, in, out any) (http.Header, error) {
	var body io.Reader
	kind := "application/json"
	switch in := in.(type) {
	case nil:
	case io.Reader:
		body, kind = in, "application/octet-stream"
	default:
		data, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(data)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", kind)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("X-Auth-Token", c.token)
	req.Header.Set("OpenStack-API-Version", "compute 2.90, placement 1.36")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, url, err)
	}
	if res.StatusCode >= 300 {
		return nil, &refusal{method + " " + url, res.StatusCode, last(string(data), 1000)}
	}
	if out != nil {
		if err := json.Unmarshal(data, out); err != nil {
			return nil, fmt.Errorf("%s %s: %w", method, url, err)
		}
	}
	return res.Header, nil
}
