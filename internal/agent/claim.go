package agent

import (
	"errors"
	"fmt"
	"slices"

	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/dataplane/mark"
	"github.com/weftnet/weft/internal/dataplane/netns"
)

// Left is what a cloud has on a host.
type Left struct {
	Interfaces int
	Namespaces int
	Networks   []string // ids of the networks that have a bridge
}

// Survey finds what clouds have on the host, by their ids. What a weft has made from
// before clouds had ids is under "".
func Survey(root *link.Handle) (map[string]Left, error) {
	marks, err := marked(root)
	if err != nil {
		return nil, err
	}
	out := map[string]Left{}
	for l, m := range marks {
		left := out[m.Cloud]
		left.Interfaces++
		if m.Kind == mark.Network && l.Type == "bridge" {
			left.Networks = append(left.Networks, m.ID)
		}
		out[m.Cloud] = left
	}
	spaces, err := netns.Marked()
	for _, m := range spaces {
		left := out[m.Cloud]
		left.Namespaces++
		out[m.Cloud] = left
	}
	return out, err
}

// marked is the interfaces with marks. The loopback may have that of a namespace in
// which this host is.
func marked(root *link.Handle) (map[link.Link]mark.Mark, error) {
	links, err := root.List()
	out := map[link.Link]mark.Mark{}
	for _, l := range links {
		if m, ok := mark.Parse(l.Alias); ok && l.Name != "lo" {
			out[l] = m
		}
	}
	return out, err
}

// Adopt makes what some clouds have on the host another cloud's. Only marks change:
// no packet is lost.
func Adopt(root *link.Handle, cloud string, from ...string) error {
	links, err := marked(root)
	errs := []error{err}
	for l, m := range links {
		if !slices.Contains(from, m.Cloud) {
			continue
		}
		m.Cloud = cloud
		if err := root.Set(l.Index, link.Alias(m.String())); err != nil && !errors.Is(err, link.ErrNotFound) {
			errs = append(errs, fmt.Errorf("adopting %s: %w", l.Name, err))
		}
	}
	spaces, err := netns.Marked()
	errs = append(errs, err)
	for name, m := range spaces {
		if slices.Contains(from, m.Cloud) {
			errs = append(errs, netns.Adopt(name, cloud))
		}
	}
	return errors.Join(errs...)
}
