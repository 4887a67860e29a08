package identity

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

func TestVault(t *testing.T) {
	v := newVault(bcrypt.MinCost, newGuesses(0, time.Now))
	long := strings.Repeat("long ", 100)
	for _, password := range []string{"", "secret", "päß\x00wort", long[:72], long[:73], long} {
		hash, err := v.hash(t.Context(), password)
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := v.check(t.Context(), login{}, hash, password); !ok || err != nil {
			t.Errorf("%q does not open its own hash: %v", password, err)
		}
		if ok, _ := v.check(t.Context(), login{}, hash, password+"x"); ok {
			t.Errorf("%q: another password opens the hash", password)
		}
		if ok, _ := v.check(t.Context(), login{}, "", password); ok {
			t.Errorf("%q is the password of a user who has none", password)
		}
	}
	if err := bcrypt.CompareHashAndPassword(v.decoy, []byte("x")); !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		t.Errorf("checking the decoy ends with %v, before the work is done", err)
	}
}

func TestVaultAdopts(t *testing.T) {
	v := newVault(bcrypt.MinCost+1, newGuesses(0, time.Now))
	for password, cost := range map[string]int{
		"": bcrypt.MinCost, "ABCDEFGHIJKLMNOPQRSTUVWXYZ": bcrypt.MinCost,
		"AAAAAAAAAAAAAAAAAAAAAAAAAA": v.cost, "ABCDEFGHIJ": v.cost, "abcdefghijklmnopqrstuvwxyz": v.cost, "secret": v.cost,
	} {
		adopted, hash, err := v.adopt(t.Context(), password)
		if err != nil || adopted == "" || password != "" && adopted != password {
			t.Fatalf("%q is adopted as %q, error %v", password, adopted, err)
		}
		if got, _ := bcrypt.Cost([]byte(hash)); got != cost {
			t.Errorf("%q is hashed at cost %d, want %d", password, got, cost)
		}
		if ok, _ := v.check(t.Context(), login{}, hash, adopted); !ok {
			t.Errorf("%q does not open its own hash", adopted)
		}
	}
}

// However many wait from one address, others come in; of one address only so many wait.
func TestVaultLimitsWork(t *testing.T) {
	v := newVault(bcrypt.MinCost, newGuesses(0, time.Now))
	flood := login{from: "192.0.2.1"}
	ctx, cancel := context.WithCancel(t.Context())
	leave, err := v.enter(t.Context(), flood)
	if err != nil {
		t.Fatal(err)
	}
	for inside, waiting := v.places.State(); waiting == 0; inside, waiting = v.places.State() {
		entered := make(chan struct{})
		go func() {
			defer close(entered)
			v.enter(ctx, flood) //nolint:errcheck // until all its places are taken
		}()
		for {
			if i, w := v.places.State(); i > inside || w > 0 {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
	done := make(chan error, maxWaiting)
	for range maxWaiting - 1 {
		go func() {
			_, err := v.check(ctx, flood, "", "x")
			done <- err
		}()
	}
	for _, waiting := v.places.State(); waiting < maxWaiting; _, waiting = v.places.State() {
		time.Sleep(time.Millisecond)
	}
	if _, err := v.check(t.Context(), flood, "", "x"); !weft.IsKind(err, weft.Unavailable) {
		t.Errorf("one too many: error %v", err)
	}
	if _, err := v.check(t.Context(), login{from: "192.0.2.2"}, "", "x"); err != nil {
		t.Errorf("from elsewhere: %v", err)
	}
	known := login{from: flood.from, user: "known"}
	v.guesses.tell(known, true)
	if _, err := v.check(t.Context(), known, "", "x"); err != nil {
		t.Errorf("who was right before, from the same address: %v", err)
	}
	cancel()
	for range maxWaiting - 1 {
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("a client that has gone: error %v", err)
		}
	}
	leave()
	if _, err := v.check(t.Context(), flood, "", "x"); err != nil {
		t.Errorf("with a place free: %v", err)
	}
}

// Who is wrong again and again is refused for a while that grows, right or wrong;
// others are not.
func TestGuessesSlowDown(t *testing.T) {
	now := time.Unix(1, 0)
	v := newVault(bcrypt.MinCost, newGuesses(3, func() time.Time { return now }))
	hash, err := v.hash(t.Context(), "right")
	if err != nil {
		t.Fatal(err)
	}
	try := func(from, password string) string {
		ok, err := v.check(t.Context(), login{from, "admin"}, hash, password)
		switch {
		case errors.Is(err, errDenied):
			return "refused"
		case err != nil:
			t.Fatal(err)
		case ok:
			return "right"
		}
		return "wrong"
	}
	expect := func(step, from, password, want string) {
		t.Helper()
		if got := try(from, password); got != want {
			t.Errorf("%s: %s, not %s", step, got, want)
		}
	}
	for range 3 {
		expect("free", "a", "x", "wrong")
	}
	expect("after three", "a", "right", "refused")
	expect("from elsewhere", "b", "right", "right")
	now = now.Add(time.Second)
	expect("a second later", "a", "x", "wrong")
	now = now.Add(time.Second)
	expect("two seconds later", "a", "right", "refused")
	now = now.Add(longestRefusal)
	expect("in the end", "a", "right", "right")
	expect("from then on", "a", "x", "wrong")
	expect("as before", "a", "right", "right")
	v.guesses.limit = 10
	for i := range 100 {
		try(fmt.Sprint(i), "x")
	}
	if n := len(v.guesses.seen); n > 10 {
		t.Errorf("%d are remembered", n)
	}
}

func TestCache(t *testing.T) {
	c := newCache(8)
	now := time.Unix(1000, 0)
	g := &grant{claims: claims{expires: now.Add(time.Second)}}
	c.put("a", g, c.generation.Load(), now)
	if c.get("a", now) != g {
		t.Error("not remembered")
	}
	if c.get("a", now.Add(time.Second)) != nil {
		t.Error("remembered beyond its end")
	}
	before := c.generation.Load()
	c.forget()
	if c.get("a", now) != nil {
		t.Error("remembered across a change")
	}
	c.put("a", g, before, now)
	if c.get("a", now) != nil {
		t.Error("looked up before a change, remembered after it")
	}
	c.put("b", g, c.generation.Load(), now.Add(2*sweepEvery))
	if len(c.entries) != 1 {
		t.Errorf("a sweep leaves %d entries", len(c.entries))
	}
	for i := range 100 {
		token := fmt.Sprint(i)
		c.put(token, g, c.generation.Load(), now)
		if len(c.entries) > 8 || c.get(token, now) != g {
			t.Fatalf("%d entries, the newest is %v", len(c.entries), c.get(token, now))
		}
	}
}

func TestFollow(t *testing.T) {
	c := newCloud(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.follow(ctx) }()
	caller := weft.SystemCaller("test")
	change := func(insert func(tx *store.Tx) error) {
		t.Helper()
		if err := c.db.Update(t.Context(), caller, insert); err != nil { // past the service, as another server does
			t.Fatal(err)
		}
	}
	was := c.cache.generation.Load()
	// The follower starts at some time, so that only a change after that is sure to
	// be seen.
	for c.cache.generation.Load() == was {
		change(func(tx *store.Tx) error { return store.Roles.Insert(tx, &weft.Role{Name: newID()}) })
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("it ends with %v", err)
	}
	head, err := c.db.Read(t.Context(), nil).Head()
	if err != nil {
		t.Fatal(err)
	}
	change(func(tx *store.Tx) error {
		return store.Networks.Insert(tx, &weft.Network{Name: "n", Provider: &weft.Provider{NetworkType: "local"}})
	})
	if last, changed, err := c.db.WaitIdentity(t.Context(), head); err != nil || changed || last != head+1 {
		t.Errorf("a network is at %d, of identity %v, error %v", last, changed, err)
	}
}
