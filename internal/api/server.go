package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/accord"
	"github.com/weftnet/weft/internal/body"
	"github.com/weftnet/weft/internal/fair"
	"github.com/weftnet/weft/internal/healthcheck"
	"github.com/weftnet/weft/internal/store"
)

// Policy decides who may do what. Rules are named as in Neutron's policy.yaml;
// target gives attributes of the object a rule is evaluated against.
type Policy interface {
	// Judge decides who is an administrator, and who another service.
	Judge(c *weft.Caller)
	Allow(rule string, c *weft.Caller, target func(attr string) any) bool
	// AttributeRule is the rule for one attribute, as "create_network:shared", if
	// there is one.
	AttributeRule(action, resource, attr string) (rule string, ok bool)
	// Overridden reports whether an operator has put the rule in the place of the
	// built-in one.
	Overridden(rule string) bool
	// Possible reports whether there can be an object for which the rule admits the
	// caller.
	Possible(rule string, c *weft.Caller) bool
}

// Quota says whether a project may have n more of a resource.
type Quota interface {
	Check(tx *store.Tx, projectID, resource string, n int) error
}

// Config is what a Server is made of.
type Config struct {
	Log      *slog.Logger
	DB       *store.DB
	Policy   Policy
	Quota    Quota
	Auth     func(context.Context, weft.Credentials) (*weft.Caller, error) // nil caller or weft.Unauthorized: 401
	AuthURL  string                                                        // for WWW-Authenticate
	Projects bool                                                          // tokens of the system or of a domain: 403
	MaxLimit int                                                           // largest page; 0: as large as asked for
	Bodies   *body.Reader                                                  // nil: one with the default limits
	// Peers is how it goes with other services of the cloud, for /healthz; nil: there are none.
	Peers func() map[string]any
}

// Server answers the Networking API. Register resources before serving.
type Server struct {
	Config
	collections map[string]collection // by path, which may have one slash
	order       []collection
	nested      map[string]collection // by the path above and its own, with a * for the id
	special     map[string]func(*httpRequest, []string) error
	aliases     map[string]bool // of the extensions announced
	described   []described
	lists       *fair.Gate // places at the database for what reads much
	room        room

	documentOnce sync.Once // on the first request for it
	document     []byte
	documentErr  error
}

// NewServer makes a server without resources.
func NewServer(c Config) *Server {
	if c.Bodies == nil {
		c.Bodies = body.NewReader(body.Defaults())
	}
	s := &Server{Config: c, collections: map[string]collection{}, nested: map[string]collection{},
		special: map[string]func(*httpRequest, []string) error{}, aliases: map[string]bool{}}
	if c.DB != nil {
		s.lists = newListGate(c.DB.Readers())
	}
	s.special["extensions"] = s.extensions
	s.Announce(ownExtensions...)
	return s
}

func (s *Server) add(c collection) {
	_, _, path := c.names()
	if w := c.within(); w != nil && w.Of == nil {
		s.nested[dashed(w.Path+"/*/"+path)] = c
	} else {
		s.collections[dashed(path)] = c
	}
	s.order = append(s.order, c)
	s.Announce(c.announced()...)
}

// dashed is the path under which a resource is found: as in Neutron a dash and an
// underscore are the same in the names of resources.
func dashed(path string) string { return strings.ReplaceAll(path, "_", "-") }

// Announce lists extensions as there: those that come with no resource.
func (s *Server) Announce(aliases ...string) {
	for _, a := range aliases {
		s.aliases[a] = true
	}
}

// Special serves a path below /v2.0 that is no table of nouns, and announces the
// extensions that come with it.
func (s *Server) Special(path string, f func(*httpRequest, []string) error, aliases ...string) {
	s.special[dashed(path)] = f
	s.Announce(aliases...)
}

// httpRequest is one request on its way.
type httpRequest struct {
	s      *Server
	w      http.ResponseWriter
	r      *http.Request
	log    *slog.Logger // of what concerns this request
	id     string       // that weft gives it
	caller *weft.Caller
	params url.Values
	up     upper      // of a nested resource
	body   *body.Body // once it has been read
}

func (rq *httpRequest) query() url.Values { return rq.params }

// last is the last value of a parameter.
func (rq *httpRequest) last(name string) (string, bool) {
	values := rq.query()[name]
	if len(values) == 0 {
		return "", false
	}
	return values[len(values)-1], true
}

// paramNames are the names of the parameters in the order of the request.
func (rq *httpRequest) paramNames() []string {
	var names []string
	seen := map[string]bool{}
	for part := range strings.SplitSeq(rq.r.URL.RawQuery, "&") {
		name, _, _ := strings.Cut(part, "=")
		if name, err := url.QueryUnescape(name); err == nil && rq.query()[name] != nil && !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names
}

func (rq *httpRequest) read() *store.Tx { return rq.s.DB.Read(rq.r.Context(), rq.caller) }

// update runs a transaction. What other services have to agree to, it asks them for.
func (rq *httpRequest) update(fn func(*store.Tx) error) error {
	return accord.Do(rq.r.Context(), rq.s.Log, func(ctx context.Context) error {
		return rq.s.DB.Update(ctx, rq.caller, fn)
	})
}

func (rq *httpRequest) write(status int, body []byte) error {
	rq.w.Header().Set("Content-Type", "application/json")
	rq.w.WriteHeader(status)
	rq.w.Write(body) // a client that has gone is no error of ours
	return nil
}

// base is the URL of the service as the client reached it.
func (rq *httpRequest) base() string {
	scheme := "http"
	if rq.r.TLS != nil {
		scheme = "https"
	}
	if p := rq.r.Header.Get("X-Forwarded-Proto"); p == "http" || p == "https" {
		scheme = p
	}
	return scheme + "://" + rq.r.Host
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	rec := &recorder{ResponseWriter: w}
	rq := &httpRequest{s: s, w: rec, r: r, id: "req-" + uuid.NewString()}
	rq.log = s.logWith(rq.id, globalRequest(r))
	w.Header().Set("X-Openstack-Request-Id", rq.id)
	rec.begins = rq.release // who does not read his answer holds nothing but that
	defer rq.release()
	if err := s.route(rq); err != nil {
		if weft.IsKind(err, weft.Unauthorized) {
			w.Header().Set("WWW-Authenticate", `Keystone uri="`+s.AuthURL+`"`)
		}
		writeError(rec, r, rq.log, rq.sees, err)
	}
	rq.logAnswered(rec.status, time.Since(start))
}

// release ends the request's hold on what requests share.
func (rq *httpRequest) release() {
	if rq.body != nil {
		rq.body.Release()
	}
}

// recorder remembers the status for the log, and knows when an answer begins.
type recorder struct {
	http.ResponseWriter
	status int
	begins func()
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.begins()
	r.ResponseWriter.WriteHeader(status)
}

func (s *Server) route(rq *httpRequest) error {
	path := strings.TrimSuffix(rq.r.URL.Path, ".json")
	switch path {
	case "/healthz":
		return s.health(rq)
	case "/", "":
		return s.versions(rq)
	}
	if healthcheck.Asked(path) {
		healthcheck.Answer(rq.w, rq.r, s.failing(rq))
		return nil
	}
	if path == "/v2.0/openapi.yaml" {
		return s.serveOpenAPI(rq)
	}
	rest, ok := strings.CutPrefix(path, "/v2.0")
	if !ok || rest != "" && rest[0] != '/' {
		return notFound()
	}
	if err := rq.checkText(); err != nil {
		return err
	}
	caller, err := s.Auth(rq.r.Context(), weft.Credentials{Token: strings.TrimSpace(rq.r.Header.Get("X-Auth-Token")),
		ServiceToken: strings.TrimSpace(rq.r.Header.Get("X-Service-Token")), Method: rq.r.Method, Path: rq.r.URL.Path})
	if err != nil {
		return err
	}
	if caller == nil {
		return weft.Errorf(weft.Unauthorized, "Unauthorized", "The request you have made requires authentication.")
	}
	c := *caller // shared by all requests with the token
	c.RequestID, c.GlobalRequest = rq.id, globalRequest(rq.r)
	s.Policy.Judge(&c)
	rq.caller = &c
	if err := s.checkScope(&c); err != nil {
		return err
	}
	switch rest {
	case "":
		return notFound()
	case "/":
		return s.resources(rq)
	}
	segments := strings.Split(strings.TrimSuffix(rest[1:], "/"), "/")
	// Of all that can be read Neutron answers HEAD for quotas alone.
	if rq.r.Method == http.MethodPatch || rq.r.Method == http.MethodHead && segments[0] != "quotas" {
		return notAllowed()
	}
	return s.dispatch(rq, segments)
}

// checkText refuses addresses with text in them that no database keeps: PostgreSQL
// fails on a NUL and on what is not UTF-8. Bodies are checked by their types.
func (rq *httpRequest) checkText() error {
	if len(rq.r.URL.RawQuery) > maxQuery {
		return weft.Errorf(weft.TooLong, "HTTPRequestURITooLong", "The URI was too long.")
	}
	bad := func(s string) bool { return !isText(s) }
	var err error
	// Neutron's library parts parameters by & alone.
	rq.params, err = url.ParseQuery(strings.ReplaceAll(rq.r.URL.RawQuery, ";", "%3B"))
	wrong := err != nil || bad(rq.r.URL.Path)
	for name, values := range rq.params {
		wrong = wrong || bad(name) || slices.ContainsFunc(values, bad)
	}
	if wrong {
		return badRequest("The URL contains characters that are not text")
	}
	return nil
}

// maxQuery is the largest length of the parameters in bytes. Neutron's server takes
// as much, and clients part what is longer.
const maxQuery = 16 << 10

func isText(s string) bool { return !strings.ContainsRune(s, 0) && utf8.ValidString(s) }

// dispatch finds the resource by the first segment of the path, or the first two.
func (s *Server) dispatch(rq *httpRequest, segments []string) error {
	for n := 1; n <= 2 && n <= len(segments); n++ {
		path := dashed(strings.Join(segments[:n], "/"))
		if f := s.special[path]; f != nil {
			return f(rq, segments[n:])
		}
		c := s.collections[path]
		if c == nil {
			continue
		}
		rest := segments[n:]
		if len(rest) > 1 {
			if below := s.nested[path+"/*/"+dashed(rest[1])]; below != nil {
				return s.descend(rq, c, below, rest)
			}
		}
		if w := c.within(); w != nil {
			return s.ascend(rq, c, w, rest)
		}
		return c.serve(rq, rest)
	}
	return notFound()
}

// descend serves a resource below a noun of another.
func (s *Server) descend(rq *httpRequest, above, below collection, rest []string) error {
	tx := rq.read()
	owner, err := above.owner(rq, tx, rest[0])
	if err != nil {
		// Policy is asked before anybody looks for the one above, which could be
		// the caller's own.
		rq.up = upper{id: rest[0], owner: rq.caller.ProjectID}
		if rq.r.Method == http.MethodPost && len(rest) == 2 && weft.IsKind(err, weft.NotFound) {
			if refused := below.mayCreate(rq, tx); refused != nil {
				return refused
			}
		}
		return err
	}
	rq.up = upper{id: rest[0], owner: owner}
	return below.serve(rq, rest[2:])
}

// ascend serves a resource that belongs to a noun of another and is reached by its
// own ids.
func (s *Server) ascend(rq *httpRequest, c collection, w *Within, rest []string) error {
	if len(rest) == 0 {
		return notFound()
	}
	tx := rq.read()
	id, err := w.Of(tx, rest[0])
	if err != nil {
		return err
	}
	owner, err := s.collections[dashed(w.Path)].owner(rq, tx, id)
	if err != nil {
		return err
	}
	rq.up = upper{id: id, owner: owner}
	return c.serve(rq, rest)
}

// health answers whether requests can be served, which takes a database that can be
// read and written.
func (s *Server) health(rq *httpRequest) error {
	if err := s.failing(rq); err != nil {
		return err
	}
	out := struct {
		Status string         `json:"status"`
		Bytes  int64          `json:"change_log_bytes"`
		Peers  map[string]any `json:"peers,omitempty"`
	}{"ok", s.DB.LogBytes(), nil}
	if s.Peers != nil {
		out.Peers = s.Peers()
	}
	body, err := json.Marshal(out)
	if err != nil {
		return err
	}
	return rq.write(http.StatusOK, body)
}

// failing is why requests cannot be served, nil if they can.
func (s *Server) failing(rq *httpRequest) error {
	unhealthy := weft.Away()
	if _, err := rq.read().Head(); err != nil {
		unhealthy.Message = "The database does not answer."
		return unhealthy
	}
	if err := s.DB.Writable(); err != nil {
		unhealthy.Message = "Writing to the database fails."
		return unhealthy
	}
	return nil
}

func (s *Server) versions(rq *httpRequest) error {
	writeJSON(rq.w, http.StatusOK, map[string]any{"versions": []any{map[string]any{
		"id": "v2.0", "status": "CURRENT", "links": []any{map[string]any{"rel": "self", "href": rq.base() + "/v2.0/"}}}}})
	return nil
}

// resources lists the core resources, as Neutron does at /v2.0/.
func (s *Server) resources(rq *httpRequest) error {
	var list []any
	for _, c := range s.order {
		singular, plural, path := c.names()
		switch singular {
		case "network", "subnet", "subnetpool", "port":
			list = append(list, map[string]any{"name": singular, "collection": plural,
				"links": []any{map[string]any{"rel": "self", "href": rq.base() + "/v2.0/" + path}}})
		}
	}
	writeJSON(rq.w, http.StatusOK, map[string]any{"resources": list})
	return nil
}

// checkRevision honours If-Match: revision_number=N.
func (rq *httpRequest) checkRevision(m *weft.Meta) error {
	h := rq.r.Header.Get("If-Match")
	if h == "" {
		return nil
	}
	want, found, err := parseIfMatch(h)
	if err != nil || !found {
		return err
	}
	if want != m.Revision {
		return weft.Errorf(weft.Precondition, "RevisionNumberConstraintFailed", "Constrained to %d, but current revision is %d", want, m.Revision)
	}
	return nil
}
