package keystone

import (
	"strconv"
	"testing"
	"time"

	"github.com/weftnet/weft/internal/authtoken"
)

// Memory is bounded, whatever clients send, and made-up tokens displace no good one.
func TestCacheIsBounded(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c := newCache(10*time.Second, time.Minute, 100)
	good := entry{subject: new(authtoken.Subject), asked: now}
	c.put(keyOf("good", false), good, now)
	for i := range 10000 {
		c.put(keyOf(strconv.Itoa(i), false), entry{asked: now}, now)
	}
	if _, ok := c.get(keyOf("good", false), now); !ok {
		t.Error("bad tokens displace a good one")
	}
	if n := len(c.bad.entries); n > 25 {
		t.Errorf("%d bad tokens, limit 25", n)
	}
	for i := range 10000 {
		c.put(keyOf(strconv.Itoa(i), true), good, now)
	}
	if n := len(c.good.entries); n > 100 {
		t.Errorf("%d good tokens, limit 100", n)
	}
	now = now.Add(time.Minute + time.Second)
	c.put(keyOf("new", false), entry{subject: new(authtoken.Subject), asked: now}, now)
	if n := len(c.good.entries); n != 1 {
		t.Errorf("%d good tokens after all but one have grown old", n)
	}
}

// A token that has gone bad is not remembered as good.
func TestCacheForgets(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c := newCache(10*time.Second, time.Minute, 100)
	key := keyOf("t", false)
	c.put(key, entry{subject: new(authtoken.Subject), asked: now}, now)
	c.put(key, entry{asked: now}, now)
	if _, ok := c.fall(key, now); ok {
		t.Error("there is something to fall back on")
	}
	if e, ok := c.get(key, now); !ok || e.subject != nil {
		t.Error("it is not remembered as bad")
	}
}
