package peer

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
)

// User is who weft is to Keystone. Domains are known by id or, without one, by name.
type User struct {
	Name, Password                 string
	Domain, DomainID               string
	Project                        string
	ProjectDomain, ProjectDomainID string
}

// Config is what a Session is made of. Zero times are useful.
type Config struct {
	URL      string // of the Identity API, with or without /v3
	User     User
	CAFile   string           // PEM; "" is the system's authorities
	Insecure bool             // do not verify servers
	Timeout  time.Duration    // of one request to any service; 0 is 10 s
	Now      func() time.Time // for tests; nil is the wall clock
}

// Session is a login at a Keystone. It is safe for concurrent use.
type Session struct {
	http   *http.Client
	url    string // with /v3
	user   User
	now    func() time.Time
	logins singleflight.Group

	mu      sync.Mutex
	ticket  *Ticket   // the last; nil before, and after it was refused
	refused error     // of the last login, if Keystone did not let the user in
	until   time.Time // when to try again after that
}

// Ticket is what a login brings. It is shared and never changed.
type Ticket struct {
	Token     string
	ends      time.Time // shortly before Keystone does; zero: not known
	catalogue catalogue
}

const (
	// afterRefusal is how long Keystone is not troubled with a password that it has
	// refused: it may lock the user out.
	afterRefusal = 5 * time.Second
	// early is how long before its end a token is no longer used: a request that
	// carries it may take a while.
	early = time.Minute
	// maxAnswer bounds answers, Keystone's with its catalogue too.
	maxAnswer = 4 << 20
)

// NewSession makes a session. It asks for nothing yet: which of the services starts
// first does not matter.
func NewSession(c Config) (*Session, error) {
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
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	url := strings.TrimSuffix(strings.TrimRight(c.URL, "/"), "/v3") + "/v3"
	return &Session{url: url, user: c.User, now: c.Now,
		http: &http.Client{Transport: t, Timeout: c.Timeout, CheckRedirect: stayThere}}, nil
}

// stayThere follows a service that sends elsewhere on the same host only: the token
// goes with the question.
func stayThere(req *http.Request, via []*http.Request) error {
	if req.URL.Host != via[0].URL.Host || len(via) > 3 {
		return http.ErrUseLastResponse
	}
	return nil
}

// URL is the Identity API's, with /v3.
func (s *Session) URL() string { return s.url }

// Timeout is how long one request may take.
func (s *Session) Timeout() time.Duration { return s.http.Timeout }

// Login is the ticket at hand, or a new one if that is the spent one, has come to
// its end or was never had.
func (s *Session) Login(ctx context.Context, spent *Ticket) (*Ticket, error) {
	s.mu.Lock()
	have, refused, until := s.ticket, s.refused, s.until
	s.mu.Unlock()
	now := s.now()
	if have != nil && have != spent && (have.ends.IsZero() || now.Before(have.ends)) {
		return have, nil
	}
	if refused != nil && now.Before(until) {
		return nil, refused
	}
	// One login for all who wait for it; none of them can call it off.
	flight := s.logins.DoChan("", func() (any, error) { return s.authenticate(context.WithoutCancel(ctx)) })
	select {
	case r := <-flight:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*Ticket), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *Session) authenticate(ctx context.Context) (*Ticket, error) {
	body, err := json.Marshal(map[string]any{"auth": map[string]any{
		"identity": map[string]any{"methods": []string{"password"}, "password": map[string]any{"user": map[string]any{
			"name": s.user.Name, "password": s.user.Password, "domain": domain(s.user.DomainID, s.user.Domain)}}},
		"scope": map[string]any{"project": map[string]any{
			"name": s.user.Project, "domain": domain(s.user.ProjectDomainID, s.user.ProjectDomain)}},
	}})
	if err != nil {
		return nil, fmt.Errorf("encoding the login: %w", err)
	}
	asked := s.now() // before: what happens meanwhile takes from the token's time
	res, data, err := s.Call(ctx, http.MethodPost, s.url+"/auth/tokens", http.Header{"Content-Type": {"application/json"}}, body)
	if err != nil {
		return nil, fmt.Errorf("logging in: %w", err)
	}
	t, err := s.issued(res, data, asked)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ticket, s.refused = t, err
	if err != nil {
		s.until = s.now().Add(afterRefusal)
	}
	return t, err
}

func domain(id, name string) map[string]string {
	if id != "" {
		return map[string]string{"id": id}
	}
	return map[string]string{"name": name}
}

// issued is the ticket in the answer to a login.
func (s *Session) issued(res *http.Response, data []byte, asked time.Time) (*Ticket, error) {
	token := res.Header.Get("X-Subject-Token")
	if res.StatusCode != http.StatusCreated || token == "" {
		return nil, fmt.Errorf("user %s in project %s is not let in: %s", s.user.Name, s.user.Project, res.Status)
	}
	var note struct {
		Token struct {
			Issued    time.Time `json:"issued_at"`
			Expires   time.Time `json:"expires_at"`
			Catalogue catalogue `json:"catalog"`
		}
	}
	if err := json.Unmarshal(data, &note); err != nil {
		return nil, errors.New("the answer to the login is not JSON of a token")
	}
	t := &Ticket{Token: token, catalogue: note.Token.Catalogue}
	if n := note.Token; !n.Expires.IsZero() {
		// By Keystone's clock it lasts so long; by ours it has begun when it was asked for.
		if n.Issued.IsZero() {
			n.Issued = asked
		}
		life := n.Expires.Sub(n.Issued)
		t.ends = asked.Add(max(life-early, life/2))
	}
	return t, nil
}

// Call asks anybody, and reads the whole of the answer.
func (s *Session) Call(ctx context.Context, method, url string, header http.Header, body []byte) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	req.Header = header
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "weft")
	res, err := s.http.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err == nil && len(data) > maxAnswer {
		err = fmt.Errorf("%s answers with more than %d bytes", url, maxAnswer)
	}
	return res, data, err
}
