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
	v := newVault(bcrypt.MinCost)
	long := strings.Repeat("long ", 100)
	for _, password := range []string{"", "secret", "päß\x00wort", long[:72], long[:73], long} {
		hash, err := v.hash(t.Context(), password)
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := v.check(t.Context(), hash, password); !ok || err != nil {
			t.Errorf("%q does not open its own hash: %v", password, err)
		}
		if ok, _ := v.check(t.Context(), hash, password+"x"); ok {
			t.Errorf("%q: another password opens the hash", password)
		}
		if ok, _ := v.check(t.Context(), "", password); ok {
			t.Errorf("%q is the password of a user who has none", password)
		}
	}
	if err := bcrypt.CompareHashAndPassword(v.decoy, []byte("x")); !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		t.Errorf("checking the decoy ends with %v, before the work is done", err)
	}
}

func TestVaultAdopts(t *testing.T) {
	v := newVault(bcrypt.MinCost + 1)
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
		if ok, _ := v.check(t.Context(), hash, adopted); !ok {
			t.Errorf("%q does not open its own hash", adopted)
		}
	}
}

func TestVaultLimitsWork(t *testing.T) {
	v := newVault(bcrypt.MinCost)
	for range cap(v.slots) {
		v.slots <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, maxWaiting)
	for range maxWaiting {
		go func() {
			_, err := v.check(ctx, "", "x")
			done <- err
		}()
	}
	for v.waiting.Load() < maxWaiting {
		time.Sleep(time.Millisecond)
	}
	if _, err := v.check(t.Context(), "", "x"); !weft.IsKind(err, weft.Unavailable) {
		t.Errorf("one too many: error %v", err)
	}
	cancel()
	for range maxWaiting {
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("a client that has gone: error %v", err)
		}
	}
	<-v.slots
	if _, err := v.check(t.Context(), "", "x"); err != nil {
		t.Errorf("with a slot free: %v", err)
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
