package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/weftnet/weft/internal/config"
	"github.com/weftnet/weft/internal/dataplane/link"
	"github.com/weftnet/weft/internal/dataplane/mark"
)

// checkPhysnets refuses physical networks whose interfaces this host does not have,
// unless they are to be waited for: a name that is mistyped never comes.
func checkPhysnets(c config.Config) error {
	if len(c.Physnets) == 0 {
		return nil
	}
	root, err := link.Open()
	if err != nil {
		return fmt.Errorf("opening the host's interfaces: %w", err)
	}
	defer root.Close()
	links, err := root.List()
	if err != nil {
		return err
	}
	missing, others := missingLinks(c.Physnets, links)
	for _, physnet := range missing {
		dev := c.Physnets[physnet]
		if !c.WaitForLinks {
			return fmt.Errorf("physical network %s: this host has no interface %s; it has %s. Name another with --physnet, "+
				"or have weft wait for it with --wait-for-interfaces", physnet, dev, others)
		}
		say("waiting for interface %s: until it is there, networks on physical network %s end at this host", dev, physnet)
	}
	return nil
}

// missingLinks is the physical networks whose interfaces are not among the links, and
// what could be meant instead.
func missingLinks(physnets map[string]string, links []link.Link) (missing []string, others string) {
	there := map[string]bool{}
	var names []string
	for _, l := range links {
		there[l.Name] = true
		if _, ours := mark.Parse(l.Alias); !ours && l.Name != "lo" && l.Master == 0 && !strings.HasPrefix(l.Name, "tap") {
			names = append(names, l.Name)
		}
	}
	for _, physnet := range slices.Sorted(maps.Keys(physnets)) {
		if !there[physnets[physnet]] {
			missing = append(missing, physnet)
		}
	}
	switch {
	case len(names) == 0:
		return missing, "none that could be meant"
	case len(names) > 20:
		names = append(names[:20], "...")
	}
	return missing, strings.Join(names, ", ")
}
