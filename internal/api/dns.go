package api

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/weftnet/weft"
)

// maxFQDN is the longest name of the domain name system, in characters.
const maxFQDN = 255

// lowered converts text to lower case, as names are compared.
func lowered(v any) (any, error) {
	s, ok := v.(string)
	if !ok {
		return nil, weft.Invalid("Input value %s must be string type", py(v))
	}
	return strings.ToLower(s), nil
}

// hostName is a name of the domain name system, relative or complete; which
// complete ones are right depends on the configured domain, which core knows.
var hostName = Type{Name: "DNS name", Convert: lowered, Validate: func(v any) string { return dnsName(v.(string)) }}

// domainName is a complete name, with the dot at its end. It may contain keywords
// in the place of labels.
var domainName = Type{Name: "DNS domain", Convert: lowered, Validate: func(v any) string {
	s := v.(string)
	switch {
	case s == "":
		return ""
	case !strings.HasSuffix(s, "."):
		return fmt.Sprintf("'%s' is not a FQDN", py(s))
	}
	if reason := dnsName(s); reason != "" {
		return reason
	}
	if len(s) > maxFQDN-2 {
		return fmt.Sprintf("'%s' contains %d characters. "+
			"Adding a sub-domain will cause it to exceed the maximum length of a FQDN of '%d'", py(s), len(s), maxFQDN)
	}
	return ""
}}

// relativeName is a name without a domain.
var relativeName = Type{Name: "relative DNS name", Convert: lowered, Validate: func(v any) string {
	s := v.(string)
	switch {
	case s == "":
		return ""
	case strings.HasSuffix(s, "."):
		return fmt.Sprintf("'%s' is a FQDN. It should be a relative domain name", py(s))
	}
	if reason := dnsName(s); reason != "" {
		return reason
	}
	if len(s) > maxFQDN-3 {
		return fmt.Sprintf("'%s' contains %d characters. "+
			"Adding a domain name will cause it to exceed the maximum length of a FQDN of '%d'", py(s), len(s), maxFQDN)
	}
	return ""
}}

var (
	dnsLabel = regexp.MustCompile(`^([a-z0-9-]{1,63}|<project_id>|<project_name>|<user_name>|<user_id>)$`)
	digits   = regexp.MustCompile(`^[0-9]+$`)
)

// dnsName says what is wrong with a name, after RFC 1123, section 2.1.
func dnsName(s string) string {
	if s == "" {
		return ""
	}
	wrong := func(format string, args ...any) string {
		return fmt.Sprintf("'%s' not a valid PQDN or FQDN. Reason: ", py(s)) + fmt.Sprintf(format, args...)
	}
	name := strings.TrimSuffix(s, ".")
	if len(name) > maxFQDN {
		return wrong("'%s' exceeds the %d character FQDN limit", py(name), maxFQDN)
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		switch {
		case label == "":
			return wrong("Encountered an empty component")
		case strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-"):
			return wrong("Name '%s' must not start or end with a hyphen", py(label))
		case !dnsLabel.MatchString(label):
			return wrong("Name '%s' must be 1-63 characters long, each of which can only be alphanumeric or a hyphen", py(label))
		}
	}
	if top := labels[len(labels)-1]; len(labels) > 1 && digits.MatchString(top) {
		return wrong("TLD '%s' must not be all numeric", py(top))
	}
	return ""
}
