package peer

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

// Where is a service of the cloud.
type Where struct {
	Type       string   // "compute", "placement"
	Region     string   // "": any
	Interfaces []string // "public", "internal", "admin": the first that there is
	URL        string   // in place of the catalogue's
}

// Service is one of the cloud's services, as the user of a session sees it.
type Service struct {
	session *Session
	where   Where
}

// Service is the one that is there.
func (s *Session) Service(w Where) *Service {
	w.URL = strings.TrimRight(w.URL, "/")
	return &Service{session: s, where: w}
}

// Request is a question to a service.
type Request struct {
	Method  string
	Path    string            // below the endpoint, from its slash on
	Header  map[string]string // such as a microversion
	Body    any               // encoded as JSON; nil: none
	Request string            // the global id, req-UUID, by which logs of both services are matched
}

// Answer is what a service says that has done as it was asked.
type Answer struct {
	Status  int
	Header  http.Header
	Body    []byte
	Request string // the id that the service has given the request
}

// Decode reads the JSON of the answer.
func (a *Answer) Decode(into any) error {
	if err := json.Unmarshal(a.Body, into); err != nil {
		return fmt.Errorf("reading the answer to request %s: %w", a.Request, err)
	}
	return nil
}

// Do asks, with a new token if that at hand is refused. An answer of status 300 or
// more is an *Error.
func (s *Service) Do(ctx context.Context, r Request) (*Answer, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = json.Marshal(r.Body); err != nil {
			return nil, fmt.Errorf("encoding a request to %s: %w", s.where.Type, err)
		}
	}
	var spent *Ticket
	for {
		ticket, err := s.session.Login(ctx, spent)
		if err != nil {
			return nil, fmt.Errorf("keystone, for %s: %w", s.where.Type, err)
		}
		a, err := s.ask(ctx, ticket, r, body)
		if e, ok := err.(*Error); ok && e.Status == http.StatusUnauthorized && spent == nil {
			spent = ticket // ended, or revoked
			continue
		}
		return a, err
	}
}

func (s *Service) ask(ctx context.Context, ticket *Ticket, r Request, body []byte) (*Answer, error) {
	base := s.where.URL
	if base == "" {
		var err error
		if base, err = ticket.catalogue.find(s.where.Type, s.where.Region, s.where.Interfaces); err != nil {
			return nil, err
		}
	}
	header := http.Header{"X-Auth-Token": {ticket.Token}}
	for k, v := range r.Header {
		header.Set(k, v)
	}
	if body != nil {
		header.Set("Content-Type", "application/json")
	}
	if globalID.MatchString(r.Request) {
		header.Set("X-Openstack-Request-Id", r.Request)
	}
	res, data, err := s.session.Call(ctx, r.Method, base+r.Path, header, body)
	if err != nil {
		return nil, err
	}
	a := &Answer{Status: res.StatusCode, Header: res.Header, Body: data, Request: requestID(res.Header)}
	if a.Status >= http.StatusMultipleChoices {
		return nil, refusal(s.where.Type, r, a)
	}
	return a, nil
}

// globalID is what services take for the id of a request; others they ignore.
var globalID = regexp.MustCompile(`^req-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// requestID is a service's own id of a request. Old Novas have a name of their own for it.
func requestID(h http.Header) string {
	if id := h.Get("X-Openstack-Request-Id"); id != "" {
		return id
	}
	return h.Get("X-Compute-Request-Id")
}
