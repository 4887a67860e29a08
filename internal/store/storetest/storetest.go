// Package storetest gives tests a database of each kind: SQLite in a temporary
// folder, and a PostgreSQL that it starts from the machine's own packages, in a
// temporary folder too and reachable through a socket there only. Where there is no
// PostgreSQL its tests skip.
package storetest

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/weftnet/weft/internal/needs"
	"github.com/weftnet/weft/internal/store"
)

// Each runs a test on a fresh database of each kind.
func Each(t *testing.T, test func(t *testing.T, db *store.DB)) {
	t.Run("sqlite", func(t *testing.T) { test(t, SQLite(t)) })
	t.Run("postgresql", func(t *testing.T) { test(t, Open(t, PostgreSQL(t))) })
}

// DB is a fresh database of the kind that WEFT_TEST_DATABASE names, sqlite or
// postgresql; unset it is sqlite. `make test` runs the services' tests on both.
func DB(t testing.TB) *store.DB {
	if os.Getenv("WEFT_TEST_DATABASE") == "postgresql" {
		return Open(t, PostgreSQL(t))
	}
	return SQLite(t)
}

// SQLite is a fresh SQLite database.
func SQLite(t testing.TB) *store.DB { return Open(t, "sqlite:"+filepath.Join(t.TempDir(), "weft.db")) }

// Open opens a database until the test ends.
func Open(t testing.TB, url string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), url, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// server is the PostgreSQL of this test binary: making one takes two seconds, a
// database in it some milliseconds.
var server struct {
	sync.Mutex
	dir  string
	err  error
	life io.Closer // the server ends when this is closed, as it is when the process ends
	made int
}

// PostgreSQL is the URL of a fresh, empty PostgreSQL database. The server stops
// with this process.
func PostgreSQL(t testing.TB) string {
	t.Helper()
	server.Lock()
	defer server.Unlock()
	if server.dir == "" && server.err == nil {
		server.err = start()
	}
	if server.err != nil {
		needs.Missing(t, "no PostgreSQL for tests: %v", server.err)
	}
	server.made++
	name := "weft" + strconv.Itoa(server.made)
	if out, err := as("createdb", "-h", server.dir, "-U", "weft", name).CombinedOutput(); err != nil {
		t.Fatalf("createdb: %v\n%s", err, out)
	}
	return fmt.Sprintf("postgresql:///%s?host=%s&user=weft", name, server.dir)
}

// as is a command of PostgreSQL's, run as somebody who is not root: the server
// refuses to be.
func as(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(program(name), args...)
	cmd.Dir = "/"
	if os.Geteuid() == 0 {
		if id, err := unprivileged(); err == nil {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: id}
		}
	}
	return cmd
}

// program is where a program of PostgreSQL's is: Debian keeps them out of PATH.
func program(name string) string {
	if found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name); err == nil && len(found) > 0 {
		return found[len(found)-1]
	}
	return name
}

func unprivileged() (*syscall.Credential, error) {
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}

func start() error {
	dir, err := os.MkdirTemp("/tmp", "weft-pg-") // short: the path of a socket has a limit
	if err != nil {
		return err
	}
	server.dir = dir
	if err := prepare(dir); err != nil {
		os.RemoveAll(dir)
		return err
	}
	data := filepath.Join(dir, "data")
	if err := live(dir, data); err != nil {
		os.RemoveAll(dir)
		return err
	}
	for range 200 {
		if as("pg_isready", "-q", "-h", dir, "-U", "weft").Run() == nil {
			return nil
		}
		time.Sleep(25 * time.Millisecond)
	}
	server.life.Close()
	return fmt.Errorf("the server does not answer")
}

// prepare makes the data of a server in a folder.
func prepare(dir string) error {
	if os.Geteuid() == 0 {
		id, err := unprivileged()
		if err != nil {
			return err
		}
		if err := os.Chown(dir, int(id.Uid), int(id.Gid)); err != nil {
			return err
		}
	}
	out, err := as("initdb", "-D", filepath.Join(dir, "data"), "-U", "weft", "-A", "trust", "-E", "UTF8",
		"--no-sync").CombinedOutput()
	if err != nil {
		return fmt.Errorf("initdb: %w %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// guardian runs the server until its input ends, and then clears up. However this
// process ends, its end of the pipe does too.
const guardian = `"$1" -D "$2" -k "$3" -c listen_addresses= -c max_connections=500 -c shared_buffers=16MB -c fsync=off >/dev/null 2>&1 &
pid=$!; cat >/dev/null; kill -INT $pid; wait $pid; rm -rf "$3"`

func live(dir, data string) error {
	cmd := as("sh", "-c", guardian, "sh", program("postgres"), data, dir)
	life, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	server.life = life
	return cmd.Start()
}

// Server is a PostgreSQL of a test's own, which it can kill.
type Server struct {
	URL string

	t     testing.TB
	dir   string
	proc  *exec.Cmd
	ended chan struct{}
}

// Own starts a PostgreSQL that ends with the test.
func Own(t testing.TB) *Server {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "weft-pg-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := prepare(dir); err != nil {
		t.Skipf("no PostgreSQL for tests: %v", err)
	}
	s := &Server{URL: "postgresql:///postgres?host=" + dir + "&user=weft", t: t, dir: dir}
	t.Cleanup(s.Kill)
	s.Start()
	return s
}

// Start starts the server and waits until it answers.
func (s *Server) Start() {
	s.t.Helper()
	for range 1200 {
		if s.proc == nil {
			s.launch()
		}
		if as("pg_isready", "-q", "-h", s.dir, "-U", "weft").Run() == nil {
			return
		}
		select {
		case <-s.ended: // one that was killed has not let go of everything yet
			s.proc = nil
		case <-time.After(50 * time.Millisecond):
		}
	}
	s.t.Fatal("the server does not answer")
}

func (s *Server) launch() {
	s.proc = as(program("postgres"), "-D", filepath.Join(s.dir, "data"), "-k", s.dir, "-c", "listen_addresses=", "-c",
		"shared_buffers=16MB")
	if s.proc.SysProcAttr == nil {
		s.proc.SysProcAttr = new(syscall.SysProcAttr)
	}
	s.proc.SysProcAttr.Setpgid, s.proc.SysProcAttr.Pdeathsig = true, syscall.SIGKILL
	if err := s.proc.Start(); err != nil {
		s.t.Fatal(err)
	}
	proc, ended := s.proc, make(chan struct{})
	s.ended = ended
	go func() {
		proc.Wait()
		close(ended)
	}()
}

// Kill ends the server and all its processes with kill -9.
func (s *Server) Kill() {
	if s.proc == nil {
		return
	}
	syscall.Kill(-s.proc.Process.Pid, syscall.SIGKILL)
	<-s.ended
	s.proc = nil
}
