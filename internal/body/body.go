package body

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/weftnet/weft"
)

// Limits are what an operator may choose.
type Limits struct {
	Bytes int64 // of a body
	Items int   // created by one request
}

// Defaults are enough for a thousand ports with all that ports can have.
func Defaults() Limits { return Limits{Bytes: 1 << 20, Items: 1000} }

const (
	// maxDepth is more than any noun has; it is what decoding and printing recurse by.
	maxDepth = 32
	// A body may have few values, and else one for each so many bytes: what people send
	// has fewer, and a value costs some hundred bytes however short its text is.
	fewValues     = 2048
	bytesPerValue = 16

	// What is small is not counted: nobody waits for an ordinary request.
	smallBody = 16 << 10
	smallCost = 64 << 10

	// What a value and an item of a bulk cost until the request has been answered.
	valueCost = 256
	itemCost  = 8 << 10

	// mostSkipped is what is read of a body for no other reason than to answer it.
	mostSkipped = 16 << 20

	// patience is how long a request waits for others.
	patience = 10 * time.Second
)

// Reader reads bodies. Its budgets are for all of them together.
type Reader struct {
	limits  Limits
	unread  *budget // bytes of texts
	decoded *budget // bytes of what is made of them
}

// NewReader makes a reader with budgets of its own.
func NewReader(l Limits) *Reader {
	return &Reader{l, newBudget(16*l.Bytes, 4*l.Bytes), newBudget(48*l.Bytes, 24*l.Bytes)}
}

// Large reports whether a body is one that is better not read for nothing.
func Large(r *http.Request) bool { return r.ContentLength < 0 || r.ContentLength > smallBody }

// Body is the text of a body.
type Body struct {
	Text  []byte
	items int
	limit int
	held  []func()
}

// Release gives back what the body takes of the budgets. Call it when nothing made of
// the body is needed any more.
func (b *Body) Release() {
	for _, giveBack := range b.held {
		giveBack()
	}
	b.held = nil
}

// Bulk refuses a body with more items than one request may create.
func (b *Body) Bulk() error {
	if b.items <= b.limit {
		return nil
	}
	return weft.Errorf(weft.TooLarge, "HTTPRequestEntityTooLarge",
		"Request of %d items is too large: at most %d can be created at once.", b.items, b.limit)
}

// Skip takes a body that nobody wants off the wire: many clients do not look for an
// answer before they have sent everything.
func Skip(r *http.Request) {
	if r.Header.Get("Expect") == "" {
		io.CopyN(io.Discard, r.Body, mostSkipped) //nolint:errcheck // whoever gives up needs no answer
	}
}

// Read reads the body of a request on behalf of who, of at most limit bytes where that
// is less than for all. Errors: TooLarge for too many bytes or values, BadRequest for
// too deep ones and for what cannot be read, Unavailable when it would take too long
// until there is room for it.
func (rd *Reader) Read(r *http.Request, who string, limit int64) (*Body, error) {
	limit = min(limit, rd.limits.Bytes)
	if r.ContentLength > limit {
		Skip(r)
		return nil, tooLarge()
	}
	b := &Body{limit: rd.limits.Items}
	text, err := rd.text(r, who, limit, b)
	if err == nil {
		err = rd.admit(r, who, text, b)
	}
	if err != nil {
		b.Release()
		return nil, err
	}
	b.Text = text
	return b, nil
}

func tooLarge() error {
	return weft.Errorf(weft.TooLarge, "HTTPRequestEntityTooLarge", "Request is too large.")
}

// text reads the text of a body. Beyond its beginning that takes room.
func (rd *Reader) text(r *http.Request, who string, limit int64, b *Body) ([]byte, error) {
	var buf bytes.Buffer
	in := http.MaxBytesReader(nil, r.Body, limit)
	if r.ContentLength > 0 && r.ContentLength <= smallBody {
		buf.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	_, err := io.CopyN(&buf, in, smallBody)
	if err == nil {
		size := r.ContentLength
		if size < 0 {
			size = limit
		}
		if err := rd.hold(r, rd.unread, who, size, b); err != nil {
			return nil, err
		}
		buf.Grow(int(size) - buf.Len() + bytes.MinRead)
		_, err = buf.ReadFrom(in)
	}
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, tooLarge()
	case err != nil && !errors.Is(err, io.EOF):
		return nil, weft.Errorf(weft.BadRequest, "HTTPBadRequest", "The request body could not be read: %v", err)
	}
	return buf.Bytes(), nil
}

// admit refuses texts that would become too much, and takes room for the others.
func (rd *Reader) admit(r *http.Request, who string, text []byte, b *Body) error {
	s := scan(text)
	switch most := fewValues + len(text)/bytesPerValue; {
	case s.depth > maxDepth:
		return weft.Errorf(weft.BadRequest, "HTTPBadRequest", "Body contains invalid data")
	case s.values > most:
		return weft.Errorf(weft.TooLarge, "HTTPRequestEntityTooLarge",
			"Request of %d values is too large: in %d bytes at most %d are taken.", s.values, len(text), most)
	}
	b.items = s.items
	cost := int64(s.values)*valueCost + int64(min(s.items, rd.limits.Items))*itemCost
	if cost <= smallCost {
		return nil
	}
	return rd.hold(r, rd.decoded, who, cost, b)
}

// hold takes from a budget until the body is released.
func (rd *Reader) hold(r *http.Request, from *budget, who string, n int64, b *Body) error {
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	giveBack, err := from.take(ctx, who, n)
	if err != nil {
		away := weft.Away()
		away.Message = "Too many large requests are under way. Try again later."
		return away
	}
	b.held = append(b.held, giveBack)
	return nil
}
