package metadata

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"
)

// Headers by which the metadata service knows the caller.
const (
	headerForwarded = "X-Forwarded-For"
	headerInstance  = "X-Instance-ID"
	headerTenant    = "X-Tenant-ID"
	headerSignature = "X-Instance-ID-Signature"
)

// maxBody is the longest request a guest may send. Only a password is ever
// posted.
const maxBody = 64 << 10

// Sign is the signature of an instance id that Nova checks: proof that the
// request came through a proxy that knows the shared secret.
func Sign(secret, instance string) string {
	h := hmac.New(sha256.New, []byte(secret))
	io.WriteString(h, instance)
	return hex.EncodeToString(h.Sum(nil))
}

// caller is who stands behind an address: a device of a project. Anybody can name
// his port's device as another's is named.
type caller struct {
	device, project string
}

// callers finds a caller by address. An address that more than one port has
// maps to the zero caller: nobody can tell whose request it is.
type callers map[netip.Addr]caller

// proxy serves one interface.
type proxy struct {
	log    *slog.Logger
	secret string
	next   http.Handler
	known  atomic.Pointer[callers]
}

// ServeHTTP implements http.Handler.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		http.Error(w, "no address", http.StatusInternalServerError)
		return
	}
	addr := from.Addr().Unmap()
	who := (*p.known.Load())[addr]
	if who.device == "" {
		p.log.Debug("metadata asked by an unknown address", "address", addr)
		http.NotFound(w, r)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	p.next.ServeHTTP(w, identified(r, addr, who, p.secret))
}

// identified is the request as the metadata service may see it. Of the guest's
// own headers only harmless ones go on: a guest that could send, say,
// X-Metadata-Provider would choose who it is.
func identified(r *http.Request, addr netip.Addr, who caller, secret string) *http.Request {
	out := r.Clone(r.Context())
	out.Header = http.Header{}
	for _, name := range []string{"Accept", "Content-Type", "User-Agent"} {
		if v := r.Header.Values(name); v != nil {
			out.Header[name] = v
		}
	}
	out.Header.Set(headerForwarded, addr.String())
	out.Header.Set(headerInstance, who.device)
	out.Header.Set(headerTenant, who.project)
	out.Header.Set(headerSignature, Sign(secret, who.device))
	return out
}
