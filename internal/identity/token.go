package identity

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fernet/fernet-go"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
)

// scope is what a token is good for. The zero scope is none.
type scope struct {
	kind string // weft.TargetProject, TargetDomain, TargetSystem or ""
	id   string
}

// audit identifies a token where the token itself must not be shown.
type audit [16]byte

func (a audit) String() string { return base64.RawURLEncoding.EncodeToString(a[:]) }

// The ways to authenticate, as bits.
const (
	byPassword = 1 << iota
	byToken
	byCredential
)

// claims is what a token says.
type claims struct {
	userID  string
	scope   scope
	methods byte
	issued  time.Time // to the microsecond
	expires time.Time
	audit   audit
	parent  audit // of the token it was exchanged for; zero if there was none
	epoch   int64

	credential string // id of the application credential, if that is the method
}

// methodNames lists the methods in Keystone's order.
func (c *claims) methodNames() []string {
	var names []string
	if c.methods&byToken != 0 {
		names = append(names, "token")
	}
	if c.methods&byPassword != 0 {
		names = append(names, "password")
	}
	if c.methods&byCredential != 0 {
		names = append(names, "application_credential")
	}
	return names
}

func (c *claims) auditIDs() []string {
	if c.parent == (audit{}) {
		return []string{c.audit.String()}
	}
	return []string{c.audit.String(), c.parent.String()}
}

// The first byte of encoded claims, so that another form can follow this one.
const claimsVersion = 1

var scopeKinds = []string{"", weft.TargetProject, weft.TargetDomain, weft.TargetSystem}

// encode is the compact form of c, which decodeClaims reads.
func (c *claims) encode() []byte {
	b := make([]byte, 0, 96)
	b = append(b, claimsVersion, c.methods)
	b = binary.AppendVarint(b, c.issued.UnixMicro())
	b = binary.AppendVarint(b, int64(c.expires.Sub(c.issued)/time.Microsecond))
	b = binary.AppendVarint(b, c.epoch)
	b = append(b, c.audit[:]...)
	b = append(b, c.parent[:]...)
	b = appendID(b, c.userID)
	for i, kind := range scopeKinds {
		if kind == c.scope.kind {
			b = append(b, byte(i))
		}
	}
	b = appendID(b, c.scope.id)
	if c.methods&byCredential != 0 {
		b = appendID(b, c.credential)
	}
	return b
}

// appendID writes an id: 0 and 16 bytes if it is the usual 32 hexadecimal
// characters, otherwise its length and text.
func appendID(b []byte, id string) []byte {
	if raw, err := hex.DecodeString(id); err == nil && len(raw) == 16 && hex.EncodeToString(raw) == id {
		return append(append(b, 0), raw...)
	}
	b = binary.AppendUvarint(b, uint64(len(id))+1)
	return append(b, id...)
}

var errMalformed = errors.New("malformed claims")

// decodeClaims reads what encode wrote; it accepts nothing else.
func decodeClaims(b []byte) (*claims, error) {
	r := reader{rest: b}
	if v := r.take(1); r.bad || v[0] != claimsVersion {
		return nil, errMalformed
	}
	c := new(claims)
	c.methods = r.byte()
	c.issued = time.UnixMicro(r.varint()).UTC()
	c.expires = c.issued.Add(time.Duration(r.varint()) * time.Microsecond)
	c.epoch = r.varint()
	copy(c.audit[:], r.take(16))
	copy(c.parent[:], r.take(16))
	c.userID = r.id()
	kind := int(r.byte())
	c.scope.id = r.id()
	if c.methods&byCredential != 0 {
		c.credential = r.id()
	}
	if r.bad || len(r.rest) > 0 || kind >= len(scopeKinds) {
		return nil, errMalformed
	}
	c.scope.kind = scopeKinds[kind]
	return c, nil
}

// reader takes values off the front of bytes. Once bad, it yields zeros.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) take(n int) []byte {
	if r.bad || n > len(r.rest) {
		r.bad = true
		return make([]byte, min(n, 16))
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) byte() byte { return r.take(1)[0] }

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.rest)
	if r.bad || n <= 0 {
		r.bad = true
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) id() string {
	n, used := binary.Uvarint(r.rest)
	if r.bad || used <= 0 || n > 256 {
		r.bad = true
		return ""
	}
	r.rest = r.rest[used:]
	if n == 0 {
		return hex.EncodeToString(r.take(16))
	}
	return string(r.take(int(n - 1)))
}

// sealer turns claims into tokens and back.
type sealer struct{ keys []*fernet.Key } // the first seals, all open

const keySetting = "identity.token_keys"

// loadSealer reads the keys from the database, where all servers find them, and
// makes the first one.
func loadSealer(ctx context.Context, db *store.DB) (*sealer, error) {
	text, err := db.Read(ctx, nil).Setting(keySetting)
	if err == nil && text == "" {
		err = db.Update(ctx, weft.SystemCaller("identity"), func(tx *store.Tx) error {
			if text, err = tx.Setting(keySetting); err != nil || text != "" {
				return err
			}
			var key fernet.Key
			rand.Read(key[:]) // never fails
			text = key.Encode()
			return tx.SetSetting(keySetting, text)
		})
	}
	if err != nil {
		return nil, err
	}
	keys, err := fernet.DecodeKeys(strings.Fields(text)...)
	if err != nil {
		return nil, fmt.Errorf("setting %s: %w", keySetting, err)
	}
	return &sealer{keys}, nil
}

// seal is the token that says c.
func (s *sealer) seal(c *claims) (string, error) {
	tok, err := fernet.EncryptAndSign(c.encode(), s.keys[0])
	if err != nil {
		return "", fmt.Errorf("sealing a token: %w", err)
	}
	return strings.TrimRight(string(tok), "="), nil
}

// maxToken bounds what open looks at; seal makes tokens of about 250 characters.
const maxToken = 1024

// open is what a token says, if one of our keys has sealed it.
func (s *sealer) open(token string) (*claims, error) {
	if token == "" || len(token) > maxToken {
		return nil, denied("no token")
	}
	padded := token + strings.Repeat("=", -len(token)&3)
	// The library takes anything after what it can decode; a token has one text only.
	if _, err := base64.URLEncoding.Strict().DecodeString(padded); err != nil || strings.ContainsAny(token, "\r\n=") {
		return nil, denied("not a token")
	}
	msg := fernet.VerifyAndDecrypt([]byte(padded), 0, s.keys)
	if msg == nil {
		return nil, denied("not a token of ours")
	}
	c, err := decodeClaims(msg)
	if err != nil {
		return nil, denied("%w", err)
	}
	return c, nil
}
