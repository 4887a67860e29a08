package firewall

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// bridgeSysctls exist when bridged packets can be shown to the inet family, and
// say whether those of all bridges are.
const bridgeSysctls = "/proc/sys/net/bridge"

// Load makes sure that the kernel can track connections across bridges, which
// takes its module br_netfilter. Where that has to be loaded, it is kept from
// filtering bridges that are not ours: loading it would switch that on.
func Load(ctx context.Context) error {
	if there() {
		return nil
	}
	if out, err := exec.CommandContext(ctx, "modprobe", "br_netfilter").CombinedOutput(); err != nil {
		return fmt.Errorf("security groups need the kernel module br_netfilter, which cannot be loaded: %w %s", err, out)
	}
	if !there() {
		return errors.New("security groups need the kernel module br_netfilter, which this network namespace does not have")
	}
	var errs []error
	for _, name := range []string{"bridge-nf-call-iptables", "bridge-nf-call-ip6tables", "bridge-nf-call-arptables"} {
		if err := os.WriteFile(filepath.Join(bridgeSysctls, name), []byte("0"), 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func there() bool {
	_, err := os.Stat(bridgeSysctls)
	return err == nil
}
