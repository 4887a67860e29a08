package api

import (
	"strconv"
	"strings"

	"github.com/weftnet/weft"
)

// parseIfMatch reads the one revision of an If-Match header: revision_number=5,
// with or without quotes. Other entity tags mean nothing here.
func parseIfMatch(h string) (revision int64, found bool, err error) {
	bad := func(why string) (int64, bool, error) {
		return 0, false, weft.Errorf(weft.BadRequest, "BadRequest", "Bad if-match request: %s.", why)
	}
	for _, tag := range strings.Split(h, ",") {
		tag = strings.Trim(strings.TrimPrefix(strings.TrimSpace(tag), "W/"), `"`)
		text, ok := strings.CutPrefix(tag, "revision_number=")
		if !ok {
			continue
		}
		if found {
			return bad("Multiple revision_number etags are not supported.")
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return bad("Revision number etag must be in the format of revision_number=<int>")
		}
		revision, found = n, true
	}
	return revision, found, nil
}
