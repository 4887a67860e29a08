package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// caller does requests with a token.
type caller struct {
	http  *http.Client
	token string
}

// newCaller makes a caller whose connections come from an address.
func newCaller(from, token string) *caller {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	t := &http.Transport{MaxIdleConnsPerHost: 16, DialContext: d.DialContext}
	return &caller{&http.Client{Timeout: 2 * time.Minute, Transport: t}, token}
}

// do sends a body, as it is if it is bytes, and returns status and answer. A path is
// of the Networking API.
func (c *caller) do(method, path string, body any) (int, []byte, error) {
	status, _, data, err := c.ask(method, path, body)
	return status, data, err
}

func (c *caller) ask(method, path string, body any) (int, http.Header, []byte, error) {
	data, raw := body.([]byte)
	if !raw && body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			return 0, nil, nil, err
		}
	}
	url := path
	if strings.HasPrefix(path, "/") {
		url = networking + path
	}
	req, err := http.NewRequest(method, url, bytes.NewReader(data))
	if err != nil {
		return 0, nil, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if c.token != "" {
		req.Header.Set("X-Auth-Token", c.token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	return res.StatusCode, res.Header, answer, err
}

// must is do for what has to succeed, decoded into out.
func (c *caller) must(method, path string, body, out any) error {
	status, data, err := c.do(method, path, body)
	if err != nil {
		return err
	}
	if status >= 300 {
		return fmt.Errorf("%s %s: %d %.300s", method, path, status, data)
	}
	if out == nil || len(data) == 0 {
		return nil
	}
	return json.Unmarshal(data, out)
}

// create makes a noun and returns its id.
func (c *caller) create(path, noun string, in map[string]any) (string, error) {
	out := map[string]struct{ ID string }{}
	err := c.must(http.MethodPost, path, map[string]any{noun: in}, &out)
	return out[noun].ID, err
}

// login asks for a token, which the caller has from then on where it gets one.
func (c *caller) login(user, password, project string) (int, error) {
	domain := map[string]string{"name": "Default"}
	body := map[string]any{"auth": map[string]any{
		"identity": map[string]any{"methods": []string{"password"}, "password": map[string]any{"user": map[string]any{
			"name": user, "password": password, "domain": domain}}},
		"scope": map[string]any{"project": map[string]any{"name": project, "domain": domain}}}}
	status, h, _, err := c.ask(http.MethodPost, identity+"/auth/tokens", body)
	if status == http.StatusCreated {
		c.token = h.Get("X-Subject-Token")
	}
	return status, err
}
