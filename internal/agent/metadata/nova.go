package metadata

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"
)

// upstreamTimeout is how long Nova may take: a little less than guests wait.
const upstreamTimeout = 30 * time.Second

// nova hands requests on to Nova's metadata API.
type nova struct {
	log    *slog.Logger
	base   *url.URL
	client *http.Client
}

func newNova(log *slog.Logger, base string) (*nova, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, fmt.Errorf("metadata URL of Nova: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("metadata URL of Nova: %q is not an http URL", base)
	}
	transport := &http.Transport{ // no proxy from the environment
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		MaxConnsPerHost:       256,
		MaxIdleConnsPerHost:   32,
		IdleConnTimeout:       time.Minute,
		ResponseHeaderTimeout: upstreamTimeout,
	}
	return &nova{log: log, base: u, client: &http.Client{
		Transport:     transport,
		Timeout:       upstreamTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// ServeHTTP implements http.Handler.
func (n *nova) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u := *n.base
	u.Path, u.RawPath, u.RawQuery = r.URL.Path, r.URL.RawPath, r.URL.RawQuery
	// Some guests close their half of the connection when they have asked (nc does),
	// which net/http takes for hanging up. The client's timeout ends it in any case.
	ctx := context.WithoutCancel(r.Context())
	req, err := http.NewRequestWithContext(ctx, r.Method, u.String(), r.Body)
	if err != nil {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	req.Header = r.Header
	req.ContentLength = r.ContentLength
	resp, err := n.client.Do(req)
	if err != nil {
		n.log.Warn("metadata service not reached", "url", n.base.Redacted(), "error", err)
		unexpected(w)
		return
	}
	defer resp.Body.Close()
	n.pass(w, resp)
}

// pass gives the guest the statuses that mean something to it, and hides the
// others behind 500 as Neutron's proxy does.
func (n *nova) pass(w http.ResponseWriter, resp *http.Response) {
	switch resp.StatusCode {
	case http.StatusOK, http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusConflict:
	default:
		n.log.Warn("metadata service answered", "url", n.base.Redacted(), "status", resp.StatusCode)
		unexpected(w)
		return
	}
	if resp.StatusCode == http.StatusForbidden {
		n.log.Warn("metadata service refused the signature: is the shared secret the same on both sides?", "url", n.base.Redacted())
	}
	if t := resp.Header.Get("Content-Type"); t != "" {
		w.Header().Set("Content-Type", t)
	}
	w.WriteHeader(resp.StatusCode)
	io.Copy(w, resp.Body) // a guest that hangs up is not our error
}

func unexpected(w http.ResponseWriter) {
	http.Error(w, "An unknown error has occurred. Please try your request again.", http.StatusInternalServerError)
}
