package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os/exec"
)

// offerCompute puts a compute service into the catalogue that has a version, no
// extensions and nothing else. Commands are run by openstack. Call stop when it is
// wanted no longer.
func (c *cloud) offerCompute(ctx context.Context, openstack func(args ...string) *exec.Cmd) (stop func(), err error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	url := "http://" + l.Addr().String() + "/v2.1"
	server := &http.Server{Handler: compute(url)}
	go server.Serve(l)
	for _, args := range [][]string{
		{"service", "create", "--name", "nova", "compute"},
		{"endpoint", "create", "--region", "RegionOne", "nova", "public", url},
	} {
		if out, err := openstack(args...).Output(); err != nil {
			server.Close()
			return nil, fmt.Errorf("openstack %v: %w: %s", args, err, out)
		}
	}
	return func() { server.Close() }, nil
}

// compute answers what clients ask before they ask for anything.
func compute(url string) http.Handler {
	say := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, text)
		}
	}
	version := `{"id": "v2.1", "status": "CURRENT", "version": "2.1", "min_version": "2.1", "links": [{"rel": "self", "href": "` + url + `/"}]}`
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", say(`{"versions": [`+version+`]}`))
	mux.HandleFunc("GET /v2.1", say(`{"version": `+version+`}`))
	mux.HandleFunc("GET /v2.1/{$}", say(`{"version": `+version+`}`))
	mux.HandleFunc("GET /v2.1/extensions", say(`{"extensions": []}`))
	return mux
}
