package api

import (
	"net/http"
	"sync"
	"sync/atomic"
)

// How much of the answers under way is kept for clients that take it slowly.
const (
	piece      = 64 << 10 // is written at once
	ownBacklog = 4 << 20  // of one answer
	allBacklog = 32 << 20 // of all
)

// room is the memory for what clients have not taken yet.
type room struct{ used atomic.Int64 }

func (r *room) take(n int) bool {
	if r.used.Add(int64(n)) > allBacklog {
		r.used.Add(-int64(n))
		return false
	}
	return true
}

func (r *room) give(n int) { r.used.Add(-int64(n)) }

// outgoing is the body of a long answer on its way. Who makes it appends to buf and
// never waits for the client: pieces are sent beside it, so that a place at the
// database is held for as long as reading takes and not for as long as a client likes.
type outgoing struct {
	rq  *httpRequest
	buf []byte // the piece in the making

	mu      sync.Mutex
	changed *sync.Cond
	queue   [][]byte
	backlog int   // bytes in the queue and in the sender's hands
	err     error // of the sender, who has stopped
	ended   bool
	stopped chan struct{} // the sender's end; nil: there is none yet
	begun   bool          // the head of the answer is out
}

func newOutgoing(rq *httpRequest) *outgoing {
	o := &outgoing{rq: rq, buf: pieces.Get().([]byte)[:0]}
	o.changed = sync.NewCond(&o.mu)
	return o
}

var pieces = sync.Pool{New: func() any { return make([]byte, 0, piece+8<<10) }}

func discard(b []byte) {
	if cap(b) < 4*piece {
		//lint:ignore SA6002 a slice's header is little beside its contents
		pieces.Put(b[:0])
	}
}

// full reports whether the piece is large enough to be sent.
func (o *outgoing) full() bool { return len(o.buf) >= piece }

// offer hands the piece over to be sent, unless too much waits for the client already.
func (o *outgoing) offer() (taken bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := len(o.buf)
	if o.err != nil || o.backlog+n > ownBacklog || !o.rq.s.room.take(n) {
		return false, o.err
	}
	o.backlog += n
	o.queue = append(o.queue, o.buf)
	o.buf = pieces.Get().([]byte)[:0]
	if o.stopped == nil {
		o.begin()
		o.stopped = make(chan struct{})
		go o.send()
	}
	o.changed.Broadcast()
	return true, nil
}

func (o *outgoing) begin() {
	if !o.begun {
		o.begun = true
		o.rq.w.Header().Set("Content-Type", "application/json")
		o.rq.w.WriteHeader(http.StatusOK)
	}
}

// flush sends all there is and returns when the client has taken it. Nothing that
// others wait for may be held meanwhile.
func (o *outgoing) flush() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.backlog > 0 && o.err == nil {
		o.changed.Wait()
	}
	if o.err == nil { // the sender has nothing to do
		o.begin()
		_, o.err = o.rq.w.Write(o.buf)
	}
	o.buf = o.buf[:0]
	return o.err
}

// send writes pieces until there are to be no more.
func (o *outgoing) send() {
	defer close(o.stopped)
	for {
		b := o.next()
		if b == nil {
			return
		}
		_, err := o.rq.w.Write(b)
		o.sent(b, err)
	}
}

func (o *outgoing) next() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.queue) == 0 && !o.ended && o.err == nil {
		o.changed.Wait()
	}
	if len(o.queue) == 0 || o.ended || o.err != nil {
		return nil
	}
	b := o.queue[0]
	o.queue = o.queue[1:]
	return b
}

func (o *outgoing) sent(b []byte, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.backlog -= len(b)
	o.rq.s.room.give(len(b))
	o.err = err
	o.changed.Broadcast()
	discard(b)
}

// close ends the sender; what has not been sent by then is dropped.
func (o *outgoing) close() {
	o.mu.Lock()
	o.ended = true
	o.changed.Broadcast()
	o.mu.Unlock()
	if o.stopped != nil {
		<-o.stopped
	}
	o.rq.s.room.give(o.backlog)
	discard(o.buf)
}
