package serve_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/weftnet/weft/internal/serve"
)

// start serves a handler behind a door.
func start(t *testing.T, l serve.Limits, h http.HandlerFunc) (d *serve.Door, addr string) {
	t.Helper()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d = serve.New(slog.New(slog.DiscardHandler), l)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- d.Serve(ctx, socket, h) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return d, socket.Addr().String()
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, "the body did not end", http.StatusBadRequest)
		return
	}
	fmt.Fprintf(w, "%d bytes", len(body))
}

// say opens a connection and sends something on it.
func say(t *testing.T, addr, text string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c
}

// ends waits until the server has closed a connection, and returns what it said.
func ends(t *testing.T, c net.Conn) string {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(time.Minute))
	said, err := io.ReadAll(c)
	if e, ok := err.(net.Error); ok && e.Timeout() {
		t.Fatal("the connection is still open")
	}
	return string(said)
}

const endless = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nbegun"

func TestBodiesEnd(t *testing.T) {
	_, addr := start(t, serve.Limits{Patience: 200 * time.Millisecond}, echo)
	if said := ends(t, say(t, addr, endless)); !strings.Contains(said, "the body did not end") {
		t.Errorf("the handler was told nothing: %q", said)
	}
	_, addr = start(t, serve.Limits{Patience: 200 * time.Millisecond},
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) })
	ends(t, say(t, addr, endless)) // which nobody reads
}

func TestAnswersAreTaken(t *testing.T) {
	cut := make(chan error, 1)
	_, addr := start(t, serve.Limits{Patience: 200 * time.Millisecond}, func(w http.ResponseWriter, _ *http.Request) {
		var err error
		for piece := make([]byte, 1<<20); err == nil; {
			_, err = w.Write(piece)
		}
		cut <- err
	})
	say(t, addr, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	select {
	case <-cut:
	case <-time.After(time.Minute):
		t.Error("the answer waits for ever")
	}
}

// Clients that hold more connections than there may be do not keep others out.
func TestNewOnesComeIn(t *testing.T) {
	for name, l := range map[string]serve.Limits{"in all": {Connections: 20, PerAddress: 20}, "of an address": {PerAddress: 20}} {
		t.Run(name, func(t *testing.T) {
			d, addr := start(t, l, echo)
			first := say(t, addr, endless)
			for i := range 100 {
				say(t, addr, []string{endless, "GET / HT", ""}[i%3])
			}
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
			resp, err := client.Post("http://"+addr, "text/plain", strings.NewReader("four"))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if said, _ := io.ReadAll(resp.Body); string(said) != "4 bytes" {
				t.Errorf("answered %q", said)
			}
			ends(t, first)
			if n := d.Connections(); n > 20 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

// A connection that the server works for is not cut.
func TestWorkIsFinished(t *testing.T) {
	working, finish := make(chan struct{}), make(chan struct{})
	_, addr := start(t, serve.Limits{Connections: 5, PerAddress: 5}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/work" {
			close(working)
			<-finish
		}
		io.WriteString(w, "done")
	})
	busy := say(t, addr, "GET /work HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	<-working
	for range 20 {
		say(t, addr, "GET / HT")
	}
	resp, err := http.Get("http://" + addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	close(finish)
	if said := ends(t, busy); !strings.HasSuffix(said, "done") {
		t.Errorf("answered %q", said)
	}
}
