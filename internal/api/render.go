package api

import "bytes"

// view says how documents of one resource are shown to one caller.
type view struct {
	hide   map[string]bool // attributes the caller may not see; nil: none
	fields map[string]bool // attributes asked for; nil: all
}

func (v *view) shows(name []byte) bool {
	if v.hide[string(name)] {
		return false
	}
	return v.fields == nil || v.fields[string(name)]
}

// appendDoc appends a stored document, with the computed attributes that it has
// spliced in, as the view shows it. A document that is shown whole is copied, not parsed.
func (v *view) appendDoc(dst, doc []byte, names []string, extra [][]byte) []byte {
	if v.hide == nil && v.fields == nil {
		dst = append(dst, doc[:len(doc)-1]...)
	} else {
		dst = append(dst, '{')
		dst = v.appendMembers(dst, doc)
	}
	for i, name := range names {
		if len(extra[i]) == 0 || !v.shows([]byte(name)) {
			continue
		}
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		dst = append(dst, '"')
		dst = append(dst, name...)
		dst = append(dst, '"', ':')
		dst = append(dst, extra[i]...)
	}
	return append(dst, '}')
}

// appendMembers appends the shown members of a compact JSON object.
func (v *view) appendMembers(dst, doc []byte) []byte {
	for i := 1; i < len(doc) && doc[i] == '"'; {
		end := i + 1 + bytes.IndexByte(doc[i+1:], '"') // attribute names hold no escapes
		stop := skipValue(doc, end+2)
		if v.shows(doc[i+1 : end]) {
			if dst[len(dst)-1] != '{' {
				dst = append(dst, ',')
			}
			dst = append(dst, doc[i:stop]...)
		}
		i = stop + 1 // past the comma, or the closing brace
	}
	return dst
}

// skipValue is the index after the JSON value that starts at i, in compact JSON.
func skipValue(doc []byte, i int) int {
	depth := 0
	for i < len(doc) {
		switch doc[i] {
		case '"':
			i = skipString(doc, i)
			if depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
			if depth == 0 {
				return i + 1
			}
		case ',':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return i
}

func skipString(doc []byte, i int) int {
	for i++; i < len(doc); i++ {
		switch doc[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return i
}

// docID is the id of a stored document, which always begins with it.
func docID(doc []byte) string {
	const prefix = `{"id":"`
	if !bytes.HasPrefix(doc, []byte(prefix)) {
		return ""
	}
	rest := doc[len(prefix):]
	return string(rest[:max(0, bytes.IndexByte(rest, '"'))])
}
