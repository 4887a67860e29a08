package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// browser is a headless Chromium, told what to do in its own protocol over a pipe.
type browser struct {
	cmd     *exec.Cmd
	to      *os.File
	session string

	mu     sync.Mutex
	next   int
	wanted map[int]chan message
	loaded chan struct{} // has something when a page has been loaded
}

// message is one of the protocol, in either direction.
type message struct {
	ID        int             `json:"id,omitempty"`
	Method    string          `json:"method,omitempty"`
	Params    any             `json:"params,omitempty"`
	SessionID string          `json:"sessionId,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
	Error     *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// startBrowser starts one with a new profile below a folder.
func startBrowser(ctx context.Context, dir string) (*browser, error) {
	commands, to, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer commands.Close()
	from, answers, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer answers.Close()
	log, err := os.Create(filepath.Join(dir, "log", "chromium.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	profile, err := os.MkdirTemp(dir, "chromium-")
	if err != nil {
		return nil, err
	}
	b := &browser{to: to, wanted: map[int]chan message{}, loaded: make(chan struct{}, 1)}
	b.cmd = exec.Command("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--window-size=1400,1000",
		"--remote-debugging-pipe", "--user-data-dir="+profile, "about:blank")
	b.cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + filepath.Join(dir, "home"), "TMPDIR=" + filepath.Join(dir, "tmp")}
	b.cmd.ExtraFiles, b.cmd.Stdout, b.cmd.Stderr = []*os.File{commands, answers}, log, log
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := b.cmd.Start(); err != nil {
		return nil, err
	}
	go b.listen(from)
	if err := b.open(ctx); err != nil {
		b.stop()
		return nil, err
	}
	return b, nil
}

// open attaches to a page.
func (b *browser) open(ctx context.Context) error {
	var target struct{ TargetID string }
	if err := b.call(ctx, "Target.createTarget", map[string]any{"url": "about:blank"}, &target); err != nil {
		return err
	}
	var attached struct{ SessionID string }
	if err := b.call(ctx, "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true},
		&attached); err != nil {
		return err
	}
	b.session = attached.SessionID
	return b.call(ctx, "Page.enable", nil, nil)
}

func (b *browser) stop() {
	b.to.Close() // then it ends by itself
	if gone(b.cmd.Process.Pid, 5*time.Second) != nil {
		b.cmd.Process.Kill()
	}
	b.cmd.Wait()
}

// listen hands answers to those who wait for them.
func (b *browser) listen(from *os.File) {
	defer from.Close()
	in := bufio.NewReader(from)
	for {
		data, err := in.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(data[:len(data)-1], &m) != nil {
			continue
		}
		if m.Method == "Page.loadEventFired" {
			select {
			case b.loaded <- struct{}{}:
			default:
			}
		}
		b.mu.Lock()
		if c := b.wanted[m.ID]; c != nil && m.ID > 0 {
			delete(b.wanted, m.ID)
			c <- m
		}
		b.mu.Unlock()
	}
}

// call sends a command and waits for its answer.
func (b *browser) call(ctx context.Context, method string, params map[string]any, out any) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	c := make(chan message, 1)
	b.mu.Lock()
	b.next++
	m := message{ID: b.next, Method: method, SessionID: b.session}
	if params != nil {
		m.Params = params
	}
	b.wanted[m.ID] = c
	data, err := json.Marshal(m)
	if err == nil {
		_, err = b.to.Write(append(data, 0))
	}
	b.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case m = <-c:
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", method, ctx.Err())
	}
	if m.Error != nil {
		return fmt.Errorf("%s: %s", method, m.Error.Message)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(m.Result, out)
}

// visit opens a URL and waits until it is loaded.
func (b *browser) visit(ctx context.Context, url string) error {
	return b.andLoads(ctx, func() error { return b.call(ctx, "Page.navigate", map[string]any{"url": url}, nil) })
}

// andLoads does something that makes the page load another.
func (b *browser) andLoads(ctx context.Context, do func() error) error {
	select {
	case <-b.loaded:
	default:
	}
	if err := do(); err != nil {
		return err
	}
	select {
	case <-b.loaded:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Minute):
		return errors.New("the page is not loaded within a minute")
	}
}

// eval is the value of a script in the page.
func (b *browser) eval(ctx context.Context, script string, out any) error {
	var res struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	if err := b.call(ctx, "Runtime.evaluate", map[string]any{"expression": script, "returnByValue": true}, &res); err != nil {
		return err
	}
	if e := res.ExceptionDetails; e != nil {
		return fmt.Errorf("script: %s %s", e.Text, e.Exception.Description)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(res.Result.Value, out)
}

// shoot writes a picture of the page to a file.
func (b *browser) shoot(ctx context.Context, path string) error {
	var out struct{ Data string }
	if err := b.call(ctx, "Page.captureScreenshot", map[string]any{"format": "png"}, &out); err != nil {
		return err
	}
	data, err := base64.StdEncoding.DecodeString(out.Data)
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}
