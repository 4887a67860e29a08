package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// task is one of the things a weft process does at the same time.
type task struct {
	name string
	run  func(ctx context.Context) error
}

// serve runs an HTTP server on a listener until ctx ends, then lets requests under
// way finish.
func serve(l net.Listener, h http.Handler) func(context.Context) error {
	return func(ctx context.Context) error {
		s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			<-ctx.Done()
			grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			s.Shutdown(grace)
		}()
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		<-stopped
		return nil
	}
}
