package policy

import (
	"fmt"
	"strconv"

	"github.com/weftnet/weft"
)

// isNull reports whether a value is null on the wire.
func isNull(v any) bool { return v == nil || v == weft.ID("") }

// textOf is the text of a value, as Python's str has it.
func textOf(v any) string {
	switch x := v.(type) {
	case string:
		return x
	case weft.ID:
		return string(x)
	case bool:
		if x {
			return "True"
		}
		return "False"
	case float64: // every number of a decoded document
		return strconv.FormatFloat(x, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// textIs reports whether textOf(v) is s.
func textIs(v any, s string) bool {
	var buf [32]byte
	switch x := v.(type) {
	case int:
		return string(strconv.AppendInt(buf[:0], int64(x), 10)) == s
	case int64:
		return string(strconv.AppendInt(buf[:0], x, 10)) == s
	case float64:
		return string(strconv.AppendFloat(buf[:0], x, 'f', -1, 64)) == s
	}
	return textOf(v) == s
}
