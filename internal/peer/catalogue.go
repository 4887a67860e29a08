package peer

import (
	"fmt"
	"strings"
)

// catalogue is Keystone's list of services.
type catalogue []struct {
	Type      string
	Endpoints []struct {
		Interface string
		Region    string `json:"region"`
		RegionID  string `json:"region_id"`
		URL       string
	}
}

// find is the URL of a service in a region, or in any without one, by the first of
// the interfaces that it has.
func (c catalogue) find(kind, region string, interfaces []string) (string, error) {
	for _, want := range interfaces {
		for _, service := range c {
			if service.Type != kind {
				continue
			}
			for _, e := range service.Endpoints {
				there := region == "" || e.RegionID == region || e.Region == region
				if there && strings.TrimSuffix(e.Interface, "URL") == want {
					return strings.TrimRight(e.URL, "/"), nil
				}
			}
		}
	}
	where := ""
	if region != "" {
		where = " in region " + region
	}
	return "", fmt.Errorf("the catalogue has no %s endpoint of type %s%s", strings.Join(interfaces, " or "), kind, where)
}
