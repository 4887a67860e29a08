package keystone

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/weftnet/weft/internal/authtoken"
)

// User is the user of a service, who needs a role that may validate tokens: service
// or admin.
type User struct {
	Name, Password, Domain string
	Project, ProjectDomain string
}

// api is Keystone as its user sees it.
type api struct {
	http   *http.Client
	url    string // with /v3
	user   User
	now    func() time.Time
	logins singleflight.Group

	mu      sync.Mutex
	token   string    // of the user
	refused error     // of the last login, if Keystone did not let the user in
	until   time.Time // when to try again after that
}

// afterRefusal is how long Keystone is not troubled with a password that it has
// refused: it may lock the user out.
const afterRefusal = 5 * time.Second

func newAPI(c Config) (*api, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 32
	t.TLSClientConfig = &tls.Config{InsecureSkipVerify: c.Insecure}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("reading the authorities of keystone: %w", err)
		}
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no certificate in PEM", c.CAFile)
		}
	}
	url := strings.TrimSuffix(strings.TrimRight(c.URL, "/"), "/v3") + "/v3"
	return &api{url: url, user: c.User, now: c.Now, http: &http.Client{Transport: t, Timeout: orElse(c.Timeout, 10*time.Second)}}, nil
}

// login is a token of the user: the one at hand, unless that is the spent one.
func (a *api) login(ctx context.Context, spent string) (string, error) {
	a.mu.Lock()
	token, refused, until := a.token, a.refused, a.until
	a.mu.Unlock()
	if token != "" && token != spent {
		return token, nil
	}
	if refused != nil && a.now().Before(until) {
		return "", refused
	}
	got, err, _ := a.logins.Do("", func() (any, error) { return a.authenticate(ctx) })
	if err != nil {
		return "", err
	}
	return got.(string), nil
}

func (a *api) authenticate(ctx context.Context) (string, error) {
	domain := func(name string) map[string]string { return map[string]string{"name": name} }
	body, err := json.Marshal(map[string]any{"auth": map[string]any{
		"identity": map[string]any{"methods": []string{"password"}, "password": map[string]any{"user": map[string]any{
			"name": a.user.Name, "password": a.user.Password, "domain": domain(a.user.Domain)}}},
		"scope": map[string]any{"project": map[string]any{"name": a.user.Project, "domain": domain(a.user.ProjectDomain)}},
	}})
	if err != nil {
		return "", fmt.Errorf("encoding the login: %w", err)
	}
	res, _, err := a.call(ctx, http.MethodPost, "/auth/tokens?nocatalog", http.Header{"Content-Type": {"application/json"}}, body)
	if err != nil {
		return "", fmt.Errorf("logging in: %w", err)
	}
	token := res.Header.Get("X-Subject-Token")
	a.mu.Lock()
	defer a.mu.Unlock()
	a.token, a.refused = token, nil
	if res.StatusCode != http.StatusCreated || token == "" {
		a.token, a.until = "", a.now().Add(afterRefusal)
		a.refused = fmt.Errorf("user %s in project %s is not let in: %s", a.user.Name, a.user.Project, res.Status)
	}
	return token, a.refused
}

// call asks, and reads the whole of the answer.
func (a *api) call(ctx context.Context, method, path string, header http.Header, body []byte) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, a.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	req.Header = header
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "weft")
	res, err := a.http.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	return res, data, err
}

// validate is what a token stands for, nil if Keystone does not know it. An error
// says nothing about the token.
func (a *api) validate(ctx context.Context, token string, late bool) (*authtoken.Subject, error) {
	var spent string
	for range 2 {
		own, err := a.login(ctx, spent)
		if err != nil {
			return nil, err
		}
		res, data, err := a.question(ctx, own, token, late)
		if err != nil {
			return nil, err
		}
		switch res.StatusCode {
		case http.StatusOK:
			return parse(data)
		case http.StatusNotFound:
			return nil, nil
		case http.StatusUnauthorized:
			spent = own // ended, or revoked
		default:
			return nil, fmt.Errorf("keystone answers %s (has user %s a role that may validate tokens?)", res.Status, a.user.Name)
		}
	}
	return nil, errors.New("keystone refuses a token that it has just issued")
}

func (a *api) question(ctx context.Context, own, token string, late bool) (*http.Response, []byte, error) {
	path := "/auth/tokens?nocatalog"
	if late {
		path += "&allow_expired=1"
	}
	return a.call(ctx, http.MethodGet, path, http.Header{
		"X-Auth-Token": {own}, "X-Subject-Token": {token},
		// Without it, Keystone does not tell of tokens whose rules it cannot rely on
		// being kept.
		"Openstack-Identity-Access-Rules": {"1"},
	}, nil)
}
