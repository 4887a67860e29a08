package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/weftnet/weft/internal/dataplane/hostlock"
)

// record is what a weft writes into the lock of its state directory: for the
// commands that have to do with it, and for whoever comes second.
type record struct {
	PID     int    `json:"pid"`
	Host    string `json:"host"`
	Cloud   string `json:"cloud,omitempty"`   // its id, once known
	Outside string `json:"outside,omitempty"` // namespace that stands for the outside world
}

// dirLock keeps a second weft from using the same state directory. It ends with the
// process, however that ends; of a rootless weft it is both processes'.
type dirLock struct{ file *os.File }

func (d stateDir) lockFile() string { return filepath.Join(string(d), "lock") }

// lock takes the lock of a state directory, which is made if it is not there.
func (d stateDir) lock() (*dirLock, error) {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return nil, fmt.Errorf("making the state directory: %w", err)
	}
	f, err := os.OpenFile(d.lockFile(), os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600) // what is written there is ours
	if err != nil {
		return nil, fmt.Errorf("locking the state directory: %w", err)
	}
	switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		f.Close()
		who := "another weft"
		if r, err := d.record(); err == nil {
			who = fmt.Sprintf("the weft that runs as process %d", r.PID)
		}
		return nil, fmt.Errorf("the state directory %s is used by %s: stop it first, or give another --state-dir", d, who)
	case err != nil:
		f.Close()
		return nil, fmt.Errorf("locking the state directory %s: %w", d, err)
	}
	return &dirLock{f}, nil
}

// tell writes down who has the lock. Readers see the old record, the new one, or
// the new one with a rest of the old behind it, which they leave alone.
func (l *dirLock) tell(r record) error {
	data, err := json.Marshal(r)
	if err == nil {
		_, err = l.file.WriteAt(append(data, '\n'), 0)
	}
	if err == nil {
		err = l.file.Truncate(int64(len(data) + 1))
	}
	if err != nil {
		return fmt.Errorf("recording who uses the state directory: %w", err)
	}
	return nil
}

func (l *dirLock) close() { l.file.Close() }

// record is what the last weft that used the state directory has written down.
func (d stateDir) record() (r record, err error) {
	f, err := os.Open(d.lockFile())
	if err != nil {
		return r, err
	}
	defer f.Close()
	if err := json.NewDecoder(f).Decode(&r); err != nil {
		return r, fmt.Errorf("reading %s: %w", d.lockFile(), err)
	}
	return r, nil
}

// hostName is the name of the host that the weft of the state directory keeps: what
// the user says, or else what that weft does.
func (d stateDir) hostName(said string) string {
	if said != "" {
		return said
	}
	if r, err := d.record(); err == nil && r.Host != "" {
		return r.Host
	}
	return hostname()
}

// cloud is the id of the cloud that the weft of the state directory serves.
func (d stateDir) cloud() string {
	r, _ := d.record() // none: it is none of ours to say
	return r.Cloud
}

// lockHost takes the lock of the network namespace: two clouds whose networks have
// the same names cannot share it.
func lockHost(d stateDir) (release func(), err error) {
	path, err := filepath.Abs(string(d))
	if err != nil {
		return nil, err
	}
	release, err = hostlock.Take(hostlock.Holder{PID: os.Getpid(), StateDir: path})
	var held *hostlock.HeldError
	if errors.As(err, &held) {
		return nil, fmt.Errorf("%w: stop that one, give this one a network namespace of its own "+
			"(nsenter --net=/run/netns/NAME weft up ...), "+
			"or have it serve the APIs only (--no-agent)", err)
	}
	return release, err
}
