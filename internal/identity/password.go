package identity

import (
	"context"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"

	"golang.org/x/crypto/bcrypt"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/fair"
)

const (
	maxPassword = 4096 // Keystone's limit
	maxWaiting  = 1024 // requests of one address that may queue for a hash
)

// vault hashes and checks passwords, a few at a time: hashing is meant to be slow,
// and without a limit a flood of logins would leave no processor for anything else.
// Addresses take turns, and the users of one address do; one place is always for
// another address than the one that floods.
type vault struct {
	cost    int
	places  *fair.Gate
	guesses *guesses
	decoy   []byte // a hash that no password has
}

func newVault(cost int, g *guesses) *vault {
	slots := max(1, runtime.GOMAXPROCS(0)/2)
	decoy := fmt.Sprintf("$2a$%02d$%s", cost, strings.Repeat(".", 53))
	return &vault{cost: cost, places: fair.New(slots+1, slots, maxWaiting), guesses: g, decoy: []byte(decoy)}
}

// enter waits for a place; the caller gives it back with leave.
func (v *vault) enter(ctx context.Context, l login) (leave func(), err error) {
	from := l.from
	if v.guesses.proven(l) { // who floods in many names behind the same address is somebody else
		from += " (proven)"
	}
	leave, err = v.places.Enter(ctx, from, l.user)
	if errors.Is(err, fair.ErrFull) {
		err = weft.Errorf(weft.Unavailable, "ServiceUnavailable",
			"Too many authentication requests are under way. Please try again later.")
	}
	return leave, err
}

// hash is the stored form of a password that somebody chose.
func (v *vault) hash(ctx context.Context, password string) (string, error) {
	leave, err := v.enter(ctx, login{})
	if err != nil {
		return "", err
	}
	defer leave()
	h, err := bcrypt.GenerateFromPassword(digestible(password), v.cost)
	return string(h), err
}

// adopt is the stored form of a password that a machine has, and "" makes one up.
// What crypto/rand.Text has made has 130 random bits: no number of guesses finds
// it, so that its hash need not be slow, and the first start and every login with
// it are fast.
func (v *vault) adopt(ctx context.Context, password string) (adopted, hash string, err error) {
	if password == "" {
		password = rand.Text()
	}
	if !random(password) {
		hash, err = v.hash(ctx, password)
		return password, hash, err
	}
	h, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	return password, string(h), err
}

// random reports whether a password looks like one of crypto/rand.Text, which has
// fewer than 9 different characters once in 10^8 times.
func random(password string) bool {
	different := map[rune]bool{}
	for _, r := range password {
		if !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", r) {
			return false
		}
		different[r] = true
	}
	return len(password) >= 26 && len(different) >= 9
}

// check reports whether password has the hash. Failing takes equally long whether
// there is a hash at all, and whatever it costs to check; only who has failed too often
// is refused at once.
func (v *vault) check(ctx context.Context, l login, hash, password string) (bool, error) {
	if v.guesses.refused(l) {
		return false, denied("too many failures from %s", l.from)
	}
	leave, err := v.enter(ctx, l)
	if err != nil {
		return false, err
	}
	defer leave()
	if v.guesses.refused(l) { // those before it have failed meanwhile
		return false, denied("too many failures from %s", l.from)
	}
	right := v.compare(hash, password)
	v.guesses.tell(l, right)
	return right, nil
}

func (v *vault) compare(hash, password string) bool {
	if hash != "" && bcrypt.CompareHashAndPassword([]byte(hash), digestible(password)) == nil {
		return true
	}
	if cost, err := bcrypt.Cost([]byte(hash)); err != nil || cost < v.cost {
		bcrypt.CompareHashAndPassword(v.decoy, digestible(password)) //nolint:errcheck // for the time it takes
	}
	return false
}

// digestible is a password of a length that bcrypt takes: longer ones are replaced
// by a digest.
func digestible(password string) []byte {
	if len(password) <= 72 {
		return []byte(password)
	}
	sum := sha512.Sum384([]byte(password))
	return base64.StdEncoding.AppendEncode(nil, sum[:])
}
