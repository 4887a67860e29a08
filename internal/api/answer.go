package api

import (
	"errors"
	"net/http"
	"slices"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/fair"
	"github.com/weftnet/weft/internal/store"
)

// How many lists read at a time. Two of the database's connections are never theirs:
// health, tokens, the feed and what reads single rows go on whatever tenants list.
const (
	spareReaders = 2
	listQueue    = 256 // requests of one project that may wait
)

func newListGate(readers int) *fair.Gate {
	places := max(1, readers-spareReaders)
	return fair.New(places, places-places/4, listQueue)
}

// reading waits for a place among those who read much. It is given back before
// anything is sent to the client.
func (rq *httpRequest) reading() (leave func(), err error) {
	leave, err = rq.s.lists.Enter(rq.r.Context(), rq.caller.ProjectID, rq.caller.UserID)
	if errors.Is(err, fair.ErrFull) {
		away := weft.Away()
		away.Message = "Too many lists of this project are under way."
		err = away
	}
	return leave, err
}

// answer is a list on its way: rows are read by one statement as long as the client,
// or memory kept for slow clients, takes them. Of the others only the ids are read by
// it; their rows follow piece by piece, each when the client has taken the one before.
type answer[T any] struct {
	r     *served[T]
	rq    *httpRequest
	tx    *store.Tx
	q     store.Query
	page  *page
	names []string // of the computed attributes
	view  *view
	out   *outgoing
	held  bool     // the client is behind
	later []string // ids of rows that are not read yet, in their order
}

// answer sends the rows that a query selects.
func (r *served[T]) answer(rq *httpRequest, q store.Query, p *page) error {
	a := &answer[T]{r: r, rq: rq, tx: rq.read(), q: q, page: p, names: r.Table.Attributes(q.Compute), out: newOutgoing(rq)}
	defer a.out.close()
	a.out.buf = append(a.out.buf, `{"`+r.Plural+`":[`...)
	if err := a.begin(); err != nil {
		return a.fail(err)
	}
	if err := a.goOn(); err != nil {
		return a.fail(err)
	}
	a.out.buf = append(a.out.buf, ']')
	if p.limit > 0 {
		a.out.buf = append(a.out.buf, `,"`+r.Plural+`_links":`+p.links(rq)...)
	}
	a.out.buf = append(a.out.buf, '}')
	return a.fail(a.out.flush())
}

// fail returns an error to be shown, or, when the body is already under way, cuts
// the connection so that the client does not take half a list for a whole one.
func (a *answer[T]) fail(err error) error {
	if err != nil && a.out.begun {
		a.rq.s.Log.InfoContext(a.rq.r.Context(), "list cut short", "path", a.rq.r.URL.Path, "error", err)
		panic(http.ErrAbortHandler)
	}
	return err
}

// begin reads the list by one statement.
func (a *answer[T]) begin() error {
	leave, err := a.rq.reading()
	if err != nil {
		return err
	}
	defer leave()
	return a.r.Table.Rows(a.tx, a.q, func(row store.Row) error {
		if a.page.limit > 0 {
			a.page.saw(docID(row.Doc))
		}
		if a.held {
			a.later = append(a.later, docID(row.Doc))
			return nil
		}
		if err := a.add(row); err != nil || !a.out.full() {
			return err
		}
		taken, err := a.out.offer()
		a.held = !taken
		return err
	})
}

// goOn reads what begin has left, as it is by now; what is gone is left out.
func (a *answer[T]) goOn() error {
	for len(a.later) > 0 {
		if err := a.out.flush(); err != nil {
			return err
		}
		if err := a.readPiece(); err != nil {
			return err
		}
	}
	return nil
}

// errPieceFull ends a statement whose rows would be more than a piece.
var errPieceFull = errors.New("the piece is full")

// readPiece reads the next rows of the list, as many as one piece holds.
func (a *answer[T]) readPiece() error {
	leave, err := a.rq.reading()
	if err != nil {
		return err
	}
	defer leave()
	batch := a.later[:min(pieceRows, len(a.later))]
	// Their number is always the same, so that the statement is, too.
	args := make([]any, pieceRows)
	for i := range args {
		args[i] = batch[min(i, len(batch)-1)]
	}
	q := store.Query{Where: append(slices.Clip(a.q.Where), store.In("id", args...)), Sort: a.q.Sort, Compute: a.q.Compute}
	seen := map[string]bool{}
	err = a.r.Table.Rows(a.tx, q, func(row store.Row) error {
		if a.out.full() {
			return errPieceFull
		}
		seen[docID(row.Doc)] = true
		return a.add(row)
	})
	var left []string
	if errors.Is(err, errPieceFull) {
		left, err = slices.DeleteFunc(slices.Clone(batch), func(id string) bool { return seen[id] }), nil
	}
	a.later = a.later[len(batch)-len(left):]
	copy(a.later, left)
	return err
}

// pieceRows is how many rows are read for a piece; most have a kilobyte.
const pieceRows = 64

// add appends a row to the answer, if the caller may see it.
func (a *answer[T]) add(row store.Row) error {
	if shown, err := a.r.admitsRow(a.rq, a.tx, row.Doc); err != nil || !shown {
		return err
	}
	if a.view == nil {
		var err error
		if a.view, err = a.r.viewOf(a.rq, row.Doc); err != nil {
			return err
		}
	} else {
		a.out.buf = append(a.out.buf, ',')
	}
	a.out.buf = a.view.appendDoc(a.out.buf, row.Doc, a.names, row.Extra)
	return nil
}
