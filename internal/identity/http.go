package identity

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/healthcheck"
	"github.com/weftnet/weft/internal/store"
)

const maxBody = 114688 // Keystone's limit

// request is one request on its way.
type request struct {
	s     *Service
	w     http.ResponseWriter
	r     *http.Request
	id    string
	grant *grant // of X-Auth-Token; nil where none is needed
	query url.Values

	release func() // gives back what the body takes
}

func (q *request) ctx() context.Context { return q.r.Context() }

func (q *request) read() *store.Tx { return q.s.db.Read(q.ctx(), q.caller()) }

func (q *request) update(fn func(*store.Tx) error) error {
	return q.s.update(q.ctx(), q.caller(), fn)
}

// caller is who asks, for the change log.
func (q *request) caller() *weft.Caller {
	c := weft.Caller{}
	if q.grant != nil {
		c = q.grant.caller
	}
	c.RequestID = q.id
	return &c
}

// base is the URL of the service as the client reached it.
func (q *request) base() string {
	scheme := "http"
	if q.r.TLS != nil {
		scheme = "https"
	}
	if p := q.r.Header.Get("X-Forwarded-Proto"); p == "http" || p == "https" {
		scheme = p
	}
	return scheme + "://" + q.r.Host
}

func (q *request) url(path string) string { return q.base() + "/v3/" + path }

// flag is a parameter that is true unless it says otherwise.
func (q *request) flag(name string) bool { return q.query.Has(name) && truth(q.query.Get(name)) }

func truth(s string) bool {
	switch strings.ToLower(s) {
	case "0", "false", "no", "off", "f", "n":
		return false
	}
	return true
}

// body reads the object named key from the request.
func (q *request) body(key string) (map[string]json.RawMessage, error) {
	raw, err := q.rawBody()
	if err != nil {
		return nil, err
	}
	outer, err := object(raw, "")
	if err != nil {
		return nil, badRequest("Malformed json in request body")
	}
	inner, ok := outer[key]
	if !ok {
		return nil, badRequest("'%s' is a required property", key)
	}
	return object(inner, key)
}

func (q *request) rawBody() ([]byte, error) {
	b, err := q.s.bodies.Read(q.r, q.source(), maxBody)
	if err != nil {
		return nil, err
	}
	q.release = b.Release
	return b.Text, nil
}

// source is on whose behalf a request is: a user's, or, before anybody knows whose, an
// address's.
func (q *request) source() string {
	if q.grant != nil {
		return q.grant.userID
	}
	host, _, err := net.SplitHostPort(q.r.RemoteAddr)
	if err != nil {
		return q.r.RemoteAddr
	}
	return host
}

// reply answers with a JSON document.
func (q *request) reply(status int, v any) error {
	b, err := store.Encode(v)
	if err != nil {
		return err
	}
	q.w.Header().Set("Content-Type", "application/json")
	q.w.WriteHeader(status)
	q.w.Write(b) //nolint:errcheck // a client that has gone is no error of ours
	return nil
}

func (q *request) replyList(key string, list any) error {
	return q.reply(http.StatusOK, map[string]any{key: list, "links": map[string]any{
		"self": q.base() + q.r.URL.RequestURI(), "previous": nil, "next": nil}})
}

func (q *request) done() error {
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}

type handler func(*request) error

// Handler serves the Identity API.
func (s *Service) Handler() http.Handler {
	m := router{s, http.NewServeMux()}
	m.versions()
	m.auth()
	m.domains()
	m.projects()
	m.users()
	m.groups()
	m.roles()
	m.assignments()
	m.catalogue()
	m.applicationCredentials()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { m.serve(w, r) })
}

type router struct {
	s   *Service
	mux *http.ServeMux
}

// open registers what needs no token.
func (m router) open(pattern string, h handler) {
	m.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { m.handle(w, r, false, h) })
}

// closed registers what needs one.
func (m router) closed(pattern string, h handler) {
	m.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { m.handle(w, r, true, h) })
}

// serve answers in Keystone's form also where no pattern matches, and takes a
// slash at the end of any path.
func (m router) serve(w http.ResponseWriter, r *http.Request) {
	if p := strings.TrimRight(r.URL.Path, "/"); p != r.URL.Path && p != "" {
		u := *r.URL
		u.Path, u.RawPath = p, strings.TrimRight(u.RawPath, "/")
		copied := *r
		copied.URL = &u
		r = &copied
	}
	if _, pattern := m.mux.Handler(r); pattern != "" {
		m.mux.ServeHTTP(w, r)
		return
	}
	m.handle(w, r, false, func(q *request) error {
		dry := dryWriter{header: http.Header{}}
		m.mux.ServeHTTP(&dry, q.r)
		if dry.status == http.StatusMethodNotAllowed {
			q.w.Header().Set("Allow", dry.header.Get("Allow"))
			return weft.Errorf(weft.NotAllowed, "MethodNotAllowed", "The method is not allowed for the requested URL.")
		}
		return errNoURL
	})
}

// dryWriter finds out what a handler would answer.
type dryWriter struct {
	header http.Header
	status int
}

func (d *dryWriter) Header() http.Header         { return d.header }
func (d *dryWriter) Write(b []byte) (int, error) { return len(b), nil }
func (d *dryWriter) WriteHeader(status int)      { d.status = status }

// recorder remembers the status for the log.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (m router) handle(w http.ResponseWriter, r *http.Request, needToken bool, h handler) {
	start, rec := m.s.now(), &recorder{ResponseWriter: w}
	q := &request{s: m.s, w: rec, r: r, id: "req-" + uuid.NewString(), query: r.URL.Query(), release: func() {}}
	defer func() { q.release() }()
	w.Header().Set("X-Openstack-Request-Id", q.id)
	w.Header().Set("Vary", "X-Auth-Token")
	err := q.sane()
	if token := r.Header.Get("X-Auth-Token"); err == nil && needToken {
		if q.grant, err = m.s.resolve(q.ctx(), token, false); err == nil && !q.within(q.grant.rules) {
			err = unauthorized()
		}
	}
	if err == nil {
		err = h(q)
	}
	if err != nil {
		q.refuse(err)
	}
	m.s.log.DebugContext(q.ctx(), "request", "method", r.Method, "path", r.URL.Path, "status", rec.status,
		"took", time.Since(start), "request", q.id)
}

// sane keeps out what a database would choke on: no name or id has it.
func (q *request) sane() error {
	for name, values := range q.query {
		if !storable(name) || !storable(strings.Join(values, "")) {
			return badRequest("The query is not valid text.")
		}
	}
	if !storable(q.r.URL.Path) {
		return errNoURL
	}
	return nil
}

func storable(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

func (m router) versions() {
	m.open("GET /{$}", func(q *request) error {
		return q.reply(http.StatusMultipleChoices, map[string]any{"versions": map[string]any{"values": []any{q.version()}}})
	})
	m.open("GET /v3", func(q *request) error {
		return q.reply(http.StatusOK, map[string]any{"version": q.version()})
	})
	for _, path := range []string{healthcheck.Path, healthcheck.Path + "/"} {
		m.open(path, func(q *request) error {
			healthcheck.Answer(q.w, q.r, q.failing())
			return nil
		})
	}
}

// failing is why requests cannot be served, nil if they can.
func (q *request) failing() error {
	if _, err := q.read().Head(); err != nil || q.s.db.Writable() != nil {
		return weft.Away()
	}
	return nil
}

func (q *request) version() any {
	return map[string]any{
		"id": "v3.14", "status": "stable", "updated": "2020-04-07T00:00:00Z",
		"links":       []any{map[string]any{"rel": "self", "href": q.url("")}},
		"media-types": []any{map[string]any{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}},
	}
}
