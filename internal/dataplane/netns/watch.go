package netns

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Watch tells when namespaces have lost their names, until ctx ends; then the
// channel is closed. One signal may stand for several.
func Watch(ctx context.Context) (<-chan struct{}, error) {
	if err := prepareDir(); err != nil {
		return nil, err
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watching %s: %w", Dir, err)
	}
	f := os.NewFile(uintptr(fd), "inotify")
	if _, err := unix.InotifyAddWatch(fd, Dir, unix.IN_DELETE|unix.IN_MOVED_FROM); err != nil {
		f.Close()
		return nil, fmt.Errorf("watching %s: %w", Dir, err)
	}
	ch := make(chan struct{}, 1)
	stop := context.AfterFunc(ctx, func() { f.Close() })
	go func() {
		defer close(ch)
		defer f.Close()
		defer stop()
		buf := make([]byte, 4096)
		for {
			if _, err := f.Read(buf); err != nil {
				return
			}
			select {
			case ch <- struct{}{}:
			default: // there is one that nobody has taken yet
			}
		}
	}()
	return ch, nil
}
