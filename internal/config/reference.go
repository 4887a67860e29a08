package config

import "strings"

// Reference is the text of etc/weft.conf: every option with its default, commented
// out.
func Reference() string {
	var b strings.Builder
	b.WriteString(`# Configuration of weft. Every option is here, with its default; take the # away
# to change one. Flags of the command line go before what this file says.
`)
	section := ""
	for _, o := range options() {
		if o.section != section {
			section = o.section
			b.WriteString("\n[" + section + "]\n")
		}
		b.WriteString("\n# " + strings.ReplaceAll(o.doc, "\n", "\n# ") + "\n")
		b.WriteString(strings.TrimSuffix("#"+o.key+" = "+o.value, " ") + "\n")
	}
	return b.String()
}
