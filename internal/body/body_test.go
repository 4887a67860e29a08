package body

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/weftnet/weft"
)

func TestScan(t *testing.T) {
	for text, want := range map[string]shape{
		``:                                 {0, 1, 0},
		`{}`:                               {1, 2, 0},
		`{"a":[1,2,3],"b":[{},{"x":1}]}`:   {3, 10, 3},
		`{"a":",[{\\\",","b":{"c":[1,2]}}`: {3, 6, 1},
		`[[[`:                              {3, 4, 1},
		`"`:                                {0, 1, 0},
		`"\`:                               {0, 1, 0},
	} {
		if got := scan([]byte(text)); got != want {
			t.Errorf("%s: %+v, not %+v", text, got, want)
		}
	}
}

func TestRead(t *testing.T) {
	rd := NewReader(Limits{Bytes: 1 << 20, Items: 10})
	for name, c := range map[string]struct {
		text string
		kind weft.Kind
	}{
		"empty":     {"", -1},
		"small":     {"{}", -1},
		"just":      {strings.Repeat(" ", 1<<20), -1},
		"too long":  {strings.Repeat(" ", 1<<20+1), weft.TooLarge},
		"too deep":  {strings.Repeat("[", 40), weft.BadRequest},
		"too dense": {strings.Repeat("1,", 1<<18), weft.TooLarge},
	} {
		for _, known := range []bool{true, false} {
			r := httptest.NewRequest("POST", "/", strings.NewReader(c.text))
			if !known {
				r.ContentLength = -1
			}
			b, err := rd.Read(r, "p", 1<<30)
			if c.kind == -1 {
				if err != nil || string(b.Text) != c.text {
					t.Errorf("%s: %v", name, err)
				} else {
					b.Release()
				}
			} else if !weft.IsKind(err, c.kind) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if rd.unread.used != 0 || rd.decoded.used != 0 || len(rd.unread.by) != 0 {
		t.Errorf("not all was given back: %+v %+v", rd.unread.by, rd.decoded.by)
	}
	b, err := rd.Read(httptest.NewRequest("POST", "/", strings.NewReader(`{"a":[`+strings.Repeat("1,", 10)+`1]}`)), "p", 1<<20)
	if err != nil || !weft.IsKind(b.Bulk(), weft.TooLarge) {
		t.Errorf("eleven items: %v", err)
	}
}

// Nobody takes more than a share, and who waits for more does not keep others waiting.
func TestBudget(t *testing.T) {
	b := newBudget(10, 5)
	soon := func() context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		t.Cleanup(cancel)
		return ctx
	}
	first, err := b.take(t.Context(), "a", 100) // is a share
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.take(soon(), "a", 1); err == nil {
		t.Error("more than a share")
	}
	waits := make(chan func())
	go func() {
		giveBack, err := b.take(t.Context(), "a", 2)
		if err != nil {
			t.Error(err)
		}
		waits <- giveBack
	}()
	other, err := b.take(t.Context(), "b", 5)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.take(soon(), "c", 1); err == nil {
		t.Error("more than there is")
	}
	first()
	(<-waits)()
	other()
	if b.used != 0 || len(b.by) != 0 || len(b.waiting) != 0 {
		t.Errorf("not all was given back: %+v", b)
	}
}
