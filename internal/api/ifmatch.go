package api

import (
	"strconv"
	"strings"

	"github.com/weftnet/weft"
)

// parseIfMatch reads the one revision of an If-Match header: revision_number=5,
// with or without quotes.
func parseIfMatch(h string) (int64, error) {
	bad := func() error {
		return weft.Errorf(weft.BadRequest, "BadRequest", "Bad if-match request: '%s' is not of the form revision_number=N.", h)
	}
	revision, found := int64(0), false
	for _, tag := range strings.Split(h, ",") {
		tag = strings.Trim(strings.TrimPrefix(strings.TrimSpace(tag), "W/"), `"`)
		text, ok := strings.CutPrefix(tag, "revision_number=")
		n, err := strconv.ParseInt(text, 10, 64)
		if !ok || err != nil {
			return 0, bad()
		}
		if found {
			return 0, weft.Errorf(weft.BadRequest, "BadRequest", "Bad if-match request: multiple revision_number constraints.")
		}
		revision, found = n, true
	}
	return revision, nil
}
