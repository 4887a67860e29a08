package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os/exec"
)

// offer puts services into the catalogue that have a version, no extensions and
// nothing else: types are "compute" and "dns". Commands are run by openstack. Call
// stop when they are wanted no longer.
func (c *cloud) offer(ctx context.Context, types []string, openstack func(args ...string) *exec.Cmd) (stop func(), err error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	url := "http://" + l.Addr().String() + "/v2.1"
	server := &http.Server{Handler: nothing(url)}
	go server.Serve(l)
	for _, kind := range types {
		for _, args := range [][]string{
			{"service", "create", "--name", kind, kind},
			{"endpoint", "create", "--region", "RegionOne", kind, "public", url},
		} {
			if out, err := openstack(args...).Output(); err != nil {
				server.Close()
				return nil, fmt.Errorf("openstack %v: %w: %s", args, err, out)
			}
		}
	}
	return func() { server.Close() }, nil
}

// nothing answers what clients ask before they ask for anything.
func nothing(url string) http.Handler {
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
