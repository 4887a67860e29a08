package identity

import (
	"fmt"
	"sync"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/weftnet/weft/internal/store"
	"github.com/weftnet/weft/internal/store/storetest"
)

// Servers that start together on an empty database make one cloud of it, and those that
// come later take nothing away from it.
func TestServersBootstrapOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s, err := New(t.Context(), Config{DB: db, PasswordCost: bcrypt.MinCost})
		if err != nil {
			t.Fatal(err)
		}
		as := func(server string) Bootstrap {
			return Bootstrap{IdentityURL: "http://" + server + "/v3", NetworkURL: "http://" + server, Server: server,
				Passwords: map[string]string{AdminUser: "of " + server}}
		}
		var starting sync.WaitGroup
		founders := make(chan string, 4)
		for i := range 4 {
			starting.Go(func() {
				server := fmt.Sprint("s", i)
				made, err := s.Bootstrap(t.Context(), as(server))
				if err != nil {
					t.Error(err)
				}
				if made != nil {
					founders <- server
				}
			})
		}
		starting.Wait()
		if len(founders) != 1 {
			t.Fatalf("%d servers have made the users", len(founders))
		}
		founder := <-founders
		head := func() int64 {
			n, err := db.Read(t.Context(), nil).Head()
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		before := head()
		for _, later := range []string{"later", "", Embedded} {
			made, err := s.Bootstrap(t.Context(), as(later))
			if own, _, ferr := s.Founded(t.Context(), later); err != nil || ferr != nil || made != nil || own || head() != before {
				t.Errorf("%q: made %v, its own: %t, errors %v, %v, %d changes", later, made, own, err, ferr, head()-before)
			}
		}
		if _, err := s.checkPassword(t.Context(), "", userRef{name: AdminUser, domain: domainRef{id: DefaultDomain}},
			"of "+founder); err != nil {
			t.Errorf("the first password: %v", err)
		}
		moved := as(founder)
		moved.NetworkURL = "http://elsewhere"
		if _, err := s.Bootstrap(t.Context(), moved); err != nil || head() != before+3 {
			t.Errorf("the founder at a new URL: error %v, %d changes of 3 endpoints", err, head()-before)
		}
	})
}

// A database of an earlier release does not say who filled it: it is whoever has the
// same URLs, or the only one there is.
func TestBootstrapAdopts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s, err := New(t.Context(), Config{DB: db, PasswordCost: bcrypt.MinCost})
		if err != nil {
			t.Fatal(err)
		}
		b := Bootstrap{IdentityURL: "http://a/v3", NetworkURL: "http://a"}
		for _, c := range []struct {
			server, network string
			own             bool
		}{{"", "a", true}, {"other", "b", false}, {"mine", "a", true}, {"other", "a", false}} {
			b.Server, b.NetworkURL = c.server, "http://"+c.network
			if _, err := s.Bootstrap(t.Context(), b); err != nil {
				t.Fatal(err)
			}
			if own, _, err := s.Founded(t.Context(), c.server); err != nil || own != c.own {
				t.Errorf("server %q at %s: its own %t, error %v", c.server, c.network, own, err)
			}
		}
	})
}
