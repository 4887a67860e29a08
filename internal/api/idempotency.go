package api

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/weftnet/weft/internal/store"
)

// A client that does not know whether its POST has arrived sends it again with the
// same Idempotency-Key: what the first one made is answered again, and nothing is
// made twice. Keys belong to a user in a project. Refusals are not remembered, for
// they have changed nothing.

// keyLife is how long an answer is remembered.
const keyLife = 24 * time.Hour

// maxKey is the largest length of a key in bytes.
const maxKey = 255

// idempotent runs a creation unless one with the same key has been carried out, and
// answers with its body.
func (rq *httpRequest) idempotent(body []byte, make func(tx *store.Tx) ([]byte, error)) error {
	key := rq.r.Header.Get("Idempotency-Key")
	switch {
	case len(key) > maxKey:
		return badRequest("Idempotency-Key exceeds maximum length of %d", maxKey)
	case !isText(key):
		return badRequest("Idempotency-Key contains characters that are not text")
	}
	var out []byte
	replayed := false
	err := rq.update(func(tx *store.Tx) error {
		var err error
		if key == "" {
			out, err = make(tx)
			return err
		}
		k := store.Key{ProjectID: rq.caller.ProjectID, UserID: rq.caller.UserID, Key: key, Request: rq.digest(body)}
		if out, replayed, err = tx.Answered(k, keyLife); err != nil || replayed {
			return err
		}
		if out, err = make(tx); err != nil {
			return err
		}
		return tx.Answer(k, out, keyLife)
	})
	if err != nil {
		return err
	}
	if replayed {
		rq.w.Header().Set("Idempotency-Replayed", "true")
	}
	return rq.write(http.StatusCreated, out)
}

// digest tells requests apart that have the same key by mistake.
func (rq *httpRequest) digest(body []byte) string {
	sum := sha256.Sum256(append([]byte(rq.r.Method+" "+rq.r.URL.Path+"\n"), body...))
	return hex.EncodeToString(sum[:])
}
