package identity

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/fernet/fernet-go"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/weftnet/weft"
)

var allowClaims = cmp.AllowUnexported(claims{}, scope{})

func someClaims(t *rapid.T) *claims {
	id := rapid.OneOf(rapid.StringMatching(`[0-9a-f]{32}`), rapid.StringMatching(`[0-9A-F]{32}`), rapid.SampledFrom([]string{"", "default", "all", "x"}))
	c := &claims{
		userID:  id.Draw(t, "user"),
		scope:   scope{rapid.SampledFrom(scopeKinds).Draw(t, "kind"), id.Draw(t, "target")},
		methods: byte(rapid.IntRange(0, 7).Draw(t, "methods")),
		issued:  time.UnixMicro(rapid.Int64Range(0, 1<<52).Draw(t, "issued")).UTC(),
		epoch:   rapid.Int64().Draw(t, "epoch"),
	}
	if c.methods&byCredential != 0 {
		c.credential = id.Draw(t, "credential")
	}
	c.expires = c.issued.Add(time.Duration(rapid.Int64Range(0, 1<<40).Draw(t, "life")) * time.Microsecond)
	copy(c.audit[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "audit"))
	copy(c.parent[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "parent"))
	return c
}

func TestClaimsRoundTrip(t *testing.T) {
	s := testSealer()
	rapid.Check(t, func(t *rapid.T) {
		c := someClaims(t)
		got, err := decodeClaims(c.encode())
		if diff := cmp.Diff(c, got, allowClaims); err != nil || diff != "" {
			t.Fatalf("error %v (-want +got):\n%s", err, diff)
		}
		token, err := s.seal(c)
		if err != nil {
			t.Fatal(err)
		}
		got, err = s.open(token)
		if diff := cmp.Diff(c, got, allowClaims); err != nil || diff != "" {
			t.Fatalf("sealed and opened: error %v (-want +got):\n%s", err, diff)
		}
	})
}

func testSealer() *sealer {
	return &sealer{[]*fernet.Key{{1, 2, 3}, {4, 5, 6}}}
}

func TestSealerOpensOnlyItsOwn(t *testing.T) {
	s := testSealer()
	c := &claims{userID: newID(), scope: scope{weft.TargetDomain, "default"}, issued: time.UnixMicro(1), expires: time.UnixMicro(2)}
	token, err := s.seal(c)
	if err != nil {
		t.Fatal(err)
	}
	if len(token) > 255 {
		t.Errorf("the token has %d characters; some clients keep them in 255", len(token))
	}
	rotated := &sealer{[]*fernet.Key{{7}, s.keys[0]}}
	if _, err := rotated.open(token); err != nil {
		t.Errorf("with its key in second place: %v", err)
	}
	flipped := []byte(token)
	flipped[len(flipped)/2] ^= 1
	foreign, _ := (&sealer{[]*fernet.Key{{9}}}).seal(c)
	for name, bad := range map[string]string{
		"empty": "", "cut": token[:len(token)-4], "flipped": string(flipped), "foreign": foreign,
		"long": token + strings.Repeat("A", 2000), "text": "not a token", "padding only": "====",
	} {
		if _, err := s.open(bad); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

func FuzzToken(f *testing.F) {
	s := testSealer()
	token, _ := s.seal(&claims{userID: "u"})
	f.Add(token)
	f.Add("gAAAAA")
	f.Fuzz(func(t *testing.T, token string) {
		if c, err := s.open(token); err == nil && c == nil {
			t.Error("neither claims nor error")
		}
	})
}

func FuzzClaims(f *testing.F) {
	f.Add((&claims{userID: newID(), scope: scope{weft.TargetSystem, "all"}}).encode())
	f.Add([]byte{claimsVersion})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decodeClaims(b)
		if err != nil {
			return
		}
		again, err := decodeClaims(c.encode())
		if err != nil || !bytes.Equal(again.encode(), c.encode()) {
			t.Errorf("%x decodes to what does not survive: %v", b, err)
		}
	})
}

func FuzzAuth(f *testing.F) {
	f.Add([]byte(passwordBody("u", "p", projectScope("p"))))
	f.Add([]byte(`{"auth":{"identity":{"methods":["token"],"token":{"id":"x"}},"scope":{"system":{"all":true}}}}`))
	f.Add([]byte(`{"auth":{"identity":{"methods":["password"],"password":{"user":{"id":"u","password":"p"}}},"scope":{"domain":{"id":"d"}}}}`))
	f.Add([]byte(`{"auth":{"identity":{"methods":[]},"scope":"unscoped"}}`))
	f.Add([]byte(`{"auth":{"identity":{"methods":["application_credential"],"application_credential":{"name":"n","secret":"s","user":{"name":"u","domain":{"id":"d"}}}}}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := parseAuth(body)
		if err != nil {
			if !weft.IsKind(err, weft.BadRequest) && !weft.IsKind(err, weft.Unauthorized) {
				t.Errorf("%q is refused with %v", body, err)
			}
			return
		}
		for _, s := range []string{a.user.id, a.user.name, a.project.id, a.project.name, a.inDomain.id, a.inDomain.name,
			a.credential.id, a.credential.name, a.credential.secret, a.credential.user.id, a.credential.user.name} {
			if !storable(s) {
				t.Errorf("%q would reach the database", s)
			}
		}
	})
}
