package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// endpoint is a Keystone and the network service in its catalogue.
type endpoint struct {
	identity string // with /v3
	network  string // without /v2.0
	admin    login
	http     *http.Client
}

// login is what a token is got with, in the domain Default.
type login struct{ user, password, project string }

func newEndpoint(identity, network string, admin login) *endpoint {
	return &endpoint{strings.TrimSuffix(identity, "/"), strings.TrimSuffix(network, "/"), admin,
		&http.Client{Timeout: 2 * time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 4}}}
}

// connectNeutron takes the OS_* variables that every client takes.
func connectNeutron(ctx context.Context, network string) (*endpoint, error) {
	who := login{os.Getenv("OS_USERNAME"), os.Getenv("OS_PASSWORD"), os.Getenv("OS_PROJECT_NAME")}
	e := newEndpoint(os.Getenv("OS_AUTH_URL"), network, who)
	if e.identity == "" || who.user == "" {
		return nil, errors.New("there is no Neutron to compare with: set OS_AUTH_URL, OS_USERNAME, OS_PASSWORD, OS_PROJECT_NAME (docs/testing.md)")
	}
	t, err := e.token(ctx, who)
	if err != nil {
		return nil, fmt.Errorf("logging in at the Neutron's Keystone: %w", err)
	}
	if e.network == "" {
		e.network = t.network
	}
	if e.network == "" {
		return nil, errors.New("the Keystone's catalogue has no network service: set WEFT_NEUTRON_URL")
	}
	return e, nil
}

// token is a token and what came with it.
type token struct{ id, project, network string }

func (e *endpoint) token(ctx context.Context, l login) (token, error) {
	domain := map[string]string{"name": "Default"}
	body, err := json.Marshal(map[string]any{"auth": map[string]any{
		"identity": map[string]any{"methods": []string{"password"}, "password": map[string]any{"user": map[string]any{"name": l.user, "password": l.password, "domain": domain}}},
		"scope":    map[string]any{"project": map[string]any{"name": l.project, "domain": domain}}}})
	if err != nil {
		return token{}, err
	}
	a, err := e.send(ctx, http.MethodPost, e.identity+"/auth/tokens", body, nil)
	if err != nil || a.status != http.StatusCreated {
		return token{}, fmt.Errorf("a token for %s: %d %s (%w)", l.user, a.status, a.body, errOr(err))
	}
	var t struct {
		Token struct {
			Project struct{ ID string }
			Catalog []struct {
				Type      string
				Endpoints []struct{ Interface, URL string }
			}
		}
	}
	if err := json.Unmarshal(a.body, &t); err != nil {
		return token{}, err
	}
	out := token{id: a.header.Get("X-Subject-Token"), project: t.Token.Project.ID}
	for _, s := range t.Token.Catalog {
		for _, p := range s.Endpoints {
			if s.Type == "network" && p.Interface == "public" {
				out.network = strings.TrimSuffix(p.URL, "/")
			}
		}
	}
	return out, nil
}

// errRefused stands for an answer that is a refusal.
var errRefused = errors.New("refused")

func errOr(err error) error {
	if err == nil {
		return errRefused
	}
	return err
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (e *endpoint) send(ctx context.Context, method, target string, body []byte, h http.Header) (answer, error) {
	var in io.Reader
	if body != nil {
		in = bytes.NewReader(body)
	}
	if _, err := url.Parse(target); err != nil {
		return answer{}, err
	}
	req, err := http.NewRequestWithContext(ctx, method, target, in)
	if err != nil {
		return answer{}, err
	}
	if h != nil {
		req.Header = h
	}
	if body != nil && req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := e.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, data}, err
}
