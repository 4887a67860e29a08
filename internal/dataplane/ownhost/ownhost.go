// Package ownhost makes fresh network and mount namespaces habitable, as a machine
// is after booting: for a weft without root, for tests and for benchmarks, which all
// want a host of their own.
package ownhost

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/dataplane/netns"
)

// Furnish gives the namespaces of this process mounts of their own, a /run with room
// for the names of network namespaces, a /sys that shows this one, and a loopback that
// is up. It must not be called on the machine's own namespaces: it would hide /run.
func Furnish() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return fmt.Errorf("mounting a private /run: %w", err)
	}
	if err := unix.Mount("sysfs", "/sys", "sysfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mounting a private /sys: %w", err)
	}
	if err := os.MkdirAll(netns.Dir, 0o755); err != nil {
		return err
	}
	root, err := link.Open()
	if err != nil {
		return err
	}
	defer root.Close()
	lo, err := root.ByName("lo")
	if err != nil {
		return err
	}
	return root.Set(lo.Index, link.Up(true))
}
