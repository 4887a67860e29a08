package main

import (
	"bytes"
	"compress/gzip"
	"context"
	_ "embed"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// guestInit is the first program of a guest.
//
//go:embed guest/init
var guestInit []byte

// guestDHCP is what its DHCP client calls.
//
//go:embed guest/dhcp
var guestDHCP []byte

// guestModules are those of a virtual machine, each after what it needs.
var guestModules = []string{"virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci",
	"virtio_blk", "failover",
	"net_failover", "virtio_net", "af_packet"}

// fetchGuest makes a kernel and an initramfs of Debian's cloud kernel and busybox, in
// which the guest is all there is, so that one boots in seconds without a real CPU.
func fetchGuest(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	run := func(program string, args ...string) (string, error) {
		cmd := exec.CommandContext(ctx, program, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%s %v: %w\n%s", program, args, err, last(string(out), 2000))
		}
		return string(out), err
	}
	depends, err := run("apt-cache", "depends", "linux-image-cloud-amd64")
	if err != nil {
		return err
	}
	kernel := regexp.MustCompile(`Depends: (linux-image-\S+)`).FindStringSubmatch(depends)
	if kernel == nil {
		return fmt.Errorf("which kernel is linux-image-cloud-amd64? %s", depends)
	}
	if _, err := run("apt-get", "download", "-q", kernel[1], "busybox-static"); err != nil {
		return err
	}
	packages, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil {
		return err
	}
	for _, p := range packages {
		if _, err := run("dpkg-deb", "-x", p, "root"); err != nil {
			return err
		}
	}
	if err := os.Rename(filepath.Join(dir, "root/boot/vmlinuz-"+strings.TrimPrefix(kernel[1], "linux-image-")),
		filepath.Join(dir, "kernel")); err != nil {
		return err
	}
	if err := packInitramfs(filepath.Join(dir, "root"), filepath.Join(dir, "initramfs")); err != nil {
		return err
	}
	return os.RemoveAll(filepath.Join(dir, "root"))
}

// packInitramfs packs what a guest has.
func packInitramfs(root, to string) error {
	var files archive
	files.dir("bin", "proc", "sys", "dev", "tmp", "www", "modules")
	busybox, err := os.ReadFile(filepath.Join(root, "bin/busybox"))
	if err != nil {
		return err
	}
	files.add("bin/busybox", 0o100755, busybox)
	files.add("init", 0o100755, guestInit)
	files.add("dhcp", 0o100755, guestDHCP)
	found := map[string][]byte{}
	err = filepath.WalkDir(filepath.Join(root, "lib/modules"), func(path string, e fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".ko") {
			found[strings.TrimSuffix(e.Name(), ".ko")], err = os.ReadFile(path)
		}
		return err
	})
	if err != nil {
		return err
	}
	var order strings.Builder
	for _, name := range guestModules {
		if data, is := found[name]; is { // others are in the kernel itself
			files.add("modules/"+name+".ko", 0o100644, data)
			fmt.Fprintln(&order, name)
		}
	}
	files.add("modules/order", 0o100644, []byte(order.String()))
	return os.WriteFile(to, files.packed(), 0o644)
}

// archive is a cpio archive in the form that Linux unpacks: "newc".
type archive struct {
	bytes.Buffer
	inode int
}

func (a *archive) dir(names ...string) {
	for _, name := range names {
		a.add(name, 0o040755, nil)
	}
}

func (a *archive) add(name string, mode int, data []byte) {
	a.inode++
	fmt.Fprintf(a, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", a.inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0,
		0, len(name)+1, 0)
	a.WriteString(name + "\x00")
	a.pad()
	a.Write(data)
	a.pad()
}

func (a *archive) pad() { a.Write(make([]byte, -a.Len()&3)) }

// packed ends the archive and compresses it.
func (a *archive) packed() []byte {
	a.add("TRAILER!!!", 0, nil)
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	z.Write(a.Bytes())
	z.Close()
	return out.Bytes()
}
