package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// startLibvirt starts libvirtd with folders of its own in the place of the machine's.
// It confines no guest, for which it had to have the machine's cgroups.
func (s *stack) startLibvirt(ctx context.Context) error {
	own := filepath.Join(s.dir, "libvirt")
	for from, to := range map[string]string{"etc": "/etc/libvirt", "lib": "/var/lib/libvirt", "log": "/var/log/libvirt",
		"cache": "/var/cache/libvirt"} {
		path := filepath.Join(own, from)
		for _, d := range []string{path, to} {
			if err := os.MkdirAll(d, 0o755); err != nil {
				return err
			}
		}
		if err := unix.Mount(path, to, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mounting %s: %w", to, err)
		}
	}
	for _, name := range []string{"libvirtd.conf", "qemu.conf"} {
		data, err := os.ReadFile(s.conf(name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join("/etc/libvirt", name), data, 0o600); err != nil {
			return err
		}
	}
	if err := os.MkdirAll("/run/libvirt", 0o755); err != nil {
		return err
	}
	if err := s.start("libvirtd", nil, "libvirtd", "-f", "/etc/libvirt/libvirtd.conf"); err != nil {
		return err
	}
	return s.ready(ctx, "libvirtd", func(ctx context.Context) bool {
		_, err := s.tool(ctx, nil, "virsh", "-c", "qemu:///system", "version")
		return err == nil
	})
}
