package nova

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/peer"
	"github.com/weftnet/weft/internal/store"
)

// Service asks Nova; *peer.Service is one.
type Service interface {
	Do(context.Context, peer.Request) (*peer.Answer, error)
}

// Config is what a Notifier is made of.
type Config struct {
	Log      *slog.Logger
	DB       *store.DB
	Nova     Service
	Server   string        // the name of this server of weft, of all on the database
	Statuses bool          // tell that ports are wired
	Data     bool          // tell what else changes
	Interval time.Duration // between two messages
}

// Notifier tells Nova what happens to its ports.
type Notifier struct {
	Config
	follower *store.Follower

	mu     sync.Mutex
	status Status
	warned time.Time // when trouble was last logged
}

// Status is how it goes.
type Status struct {
	Leads   bool       `json:"leads"`   // this server of weft is the one that tells Nova
	Read    int64      `json:"read"`    // the entry of the change log that it has come to
	Waiting int        `json:"waiting"` // events up to there that Nova has still to be told
	Told    int64      `json:"told"`    // events that Nova has taken, since the start
	Failing *time.Time `json:"failing_since,omitempty"`
}

// What is read of the log at once, and how many events wait in memory. While Nova is
// away the others wait in the log.
const (
	manyChanges = 500
	manyEvents  = 1000
)

// New makes a notifier. From now on the log is kept for it.
func New(ctx context.Context, c Config) (*Notifier, error) {
	f, err := c.DB.Follow(ctx, store.FollowerConfig{Name: "nova", Holder: c.Server, Nouns: nouns})
	if err != nil {
		return nil, err
	}
	return &Notifier{Config: c, follower: f}, nil
}

// Run tells Nova, while no other server does, until ctx ends.
func (n *Notifier) Run(ctx context.Context) error {
	for {
		err := n.follower.Lead(ctx, n.lead)
		n.note(func(s *Status) { s.Leads = false })
		if ctx.Err() == nil && !weft.IsKind(err, weft.Unavailable) { // of which the database tells
			n.Log.WarnContext(ctx, "telling nova; going on from where it was", "error", err)
		}
		if !wait(ctx, 5*time.Second) {
			return nil
		}
	}
}

// Status is how it goes now.
func (n *Notifier) Status() Status {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.status
}

func (n *Notifier) note(change func(*Status)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change(&n.status)
}

// outbox is what Nova is to be told next.
type outbox struct {
	events []event
	read   int64     // the entry of the log up to which the events are those
	stored int64     // the entry up to which Nova has been told
	sent   time.Time // when it was told last
}

// lead tells Nova for as long as this server is the one that does.
func (n *Notifier) lead(ctx context.Context, l *store.Leader) error {
	n.note(func(s *Status) { s.Leads = true })
	n.Log.InfoContext(ctx, "nova is told of what happens to its ports", "from entry", l.Position+1)
	box := &outbox{read: l.Position, stored: l.Position}
	for {
		var missed *store.MissedError
		err := n.collect(ctx, l, box)
		if errors.As(err, &missed) {
			n.Log.WarnContext(ctx, "what nova was to be told is gone; it is told of all ports as they are", "error", missed)
			err = n.tellAll(ctx, l, box)
		}
		if err == nil {
			err = n.empty(ctx, l, box)
		}
		if err != nil {
			return err
		}
	}
}

// collect reads the log until there is something to tell and it is time to.
func (n *Notifier) collect(ctx context.Context, l *store.Leader, box *outbox) error {
	for {
		due, any := n.due(box)
		if any && !time.Now().Before(due) {
			return nil
		}
		until, cancel := ctx, context.CancelFunc(func() {})
		if any {
			until, cancel = context.WithDeadline(ctx, due)
		}
		changes, err := l.Next(until, box.read, manyChanges)
		cancel()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && until.Err() != nil:
			return nil // it is time
		case err != nil:
			return err
		}
		if err := n.take(ctx, box, changes); err != nil {
			return err
		}
		switch {
		case len(box.events) >= manyEvents:
			return nil
		case len(box.events) == 0 && box.read-box.stored >= manyChanges:
			if err := n.store(ctx, l, box); err != nil {
				return err
			}
		}
		if !wait(ctx, breath) {
			return ctx.Err()
		}
	}
}

// breath is how long the notifier leaves the database alone after it has read, so that
// where much happens it reads much at a time.
const breath = 5 * time.Millisecond

// due is when what is in the box has waited long enough, if there is any.
func (n *Notifier) due(box *outbox) (due time.Time, any bool) {
	return box.sent.Add(pause(n.Interval, box.events)), len(box.events) > 0
}

// take puts what follows from changes into the box.
func (n *Notifier) take(ctx context.Context, box *outbox, changes []store.Change) error {
	tx := n.DB.Read(ctx, weft.SystemCaller("nova"))
	t := teller{statuses: n.Statuses, data: n.Data, port: func(id string) (*weft.Port, error) {
		p, err := store.Ports.Get(tx, id)
		if weft.IsKind(err, weft.NotFound) {
			return nil, nil
		}
		return p, err
	}}
	for _, c := range changes {
		events, err := t.events(c)
		var odd *unreadableError
		if errors.As(err, &odd) { // again and again, if it were tried again
			n.Log.ErrorContext(ctx, "nova is not told of a change", "error", err)
		} else if err != nil {
			return err
		}
		for _, e := range events {
			box.events = add(box.events, e)
		}
		box.read = c.Seq
	}
	n.note(func(s *Status) { s.Waiting, s.Read = len(box.events), box.read })
	return nil
}

// empty tells Nova what is in the box, and stores that it has.
func (n *Notifier) empty(ctx context.Context, l *store.Leader, box *outbox) error {
	if err := n.tell(ctx, box.events); err != nil {
		return err
	}
	box.events, box.sent = nil, time.Now()
	n.note(func(s *Status) { s.Waiting, s.Read = 0, box.read })
	return n.store(ctx, l, box)
}

// store records how far Nova has been told. What the database does not take now it
// takes with what is next: only a crash before that would tell something twice.
func (n *Notifier) store(ctx context.Context, l *store.Leader, box *outbox) error {
	err := l.Store(ctx, box.read)
	if err == nil {
		box.stored = box.read
	}
	if weft.IsKind(err, weft.Unavailable) {
		return nil
	}
	return err
}

// tellAll tells Nova of every port of a server as it is: to look at it anew, and that
// it is wired if it is.
func (n *Notifier) tellAll(ctx context.Context, l *store.Leader, box *outbox) error {
	head, err := n.DB.Read(ctx, nil).Head()
	if err != nil {
		return err
	}
	box.events = nil
	for last := ""; ; {
		ports, err := store.Ports.Find(n.DB.Read(ctx, nil),
			store.Where("id IN (SELECT id FROM ports WHERE device_owner LIKE 'compute:%' AND id > ? ORDER BY id LIMIT 500)", last))
		if err != nil {
			return err
		}
		if len(ports) == 0 {
			break
		}
		var events []event
		for _, p := range ports {
			last = p.ID
			events = append(events, about(p, n.Data, event{Name: changed})...)
			events = append(events, about(p, n.Statuses, ofStatus("", p.Status))...)
		}
		if err := n.tell(ctx, events); err != nil {
			return err
		}
		if !wait(ctx, n.Interval) {
			return ctx.Err()
		}
	}
	box.read = head
	return nil
}

// wait reports false if ctx ends first.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
