package agent

import (
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// faults is what is known to be amiss, so that the log tells of it once, then more
// and more rarely for as long as it stands, and when it is over. An attempt that
// fails as the one before is no news.
type faults struct {
	log   *slog.Logger
	now   func() time.Time
	mu    sync.Mutex
	parts map[string]*faulty // few: modules, the report, the source
}

// faulty is a part of which something is amiss.
type faulty struct {
	since, told time.Time
	pause       time.Duration // until a reminder
	known       map[string]bool
}

const (
	firstReminder = time.Minute
	lastReminder  = time.Hour
	remembered    = 200 // faults of a part
	shown         = 10  // in a line of the log
)

func newFaults(log *slog.Logger) *faults {
	return &faults{log: log, now: time.Now, parts: map[string]*faulty{}}
}

// note takes what an attempt has found amiss in a part, nil for nothing. An attempt at
// a bit of the part says nothing of the rest of it.
func (f *faults) note(part string, err error, whole bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now, found := f.now(), apart(err)
	p := f.parts[part]
	switch {
	case p == nil && len(found) == 0:
		return
	case p == nil:
		p = &faulty{since: now, known: map[string]bool{}}
		f.parts[part] = p
	case len(found) == 0 && whole:
		f.log.Info("part of the host is as it should be again", "part", part, "after", now.Sub(p.since).Round(time.Millisecond))
		delete(f.parts, part)
		return
	}
	fresh, over := p.compare(found, whole)
	switch {
	case len(fresh) > 0:
		p.told, p.pause = now, firstReminder
		f.log.Error("part of the host is not as it should be", "part", part, "faults", len(p.known), "error", brief(fresh))
	case len(found) > 0 && now.Sub(p.told) >= p.pause:
		p.told, p.pause = now, min(2*p.pause, lastReminder)
		f.log.Error("part of the host is still not as it should be", "part", part, "since", p.since.Format(time.RFC3339),
			"faults", len(p.known), "error", brief(found))
	}
	if len(over) > 0 {
		f.log.Info("something of the host is as it should be again", "part", part, "was", brief(over))
	}
}

// compare makes what was found the known, and returns what is new and what is over.
func (p *faulty) compare(found []string, whole bool) (fresh, over []string) {
	for text := range p.known {
		if whole && !slices.Contains(found, text) {
			over = append(over, text)
			delete(p.known, text)
		}
	}
	for _, text := range found {
		if !p.known[text] && len(p.known) < remembered {
			p.known[text] = true
			fresh = append(fresh, text)
		}
	}
	slices.Sort(over)
	return fresh, over
}

// apart is the texts of the errors that one joins, sorted, each once: their order may
// be another every time. More than can be remembered are left out.
func apart(err error) []string {
	var out []string
	var walk func(error)
	walk = func(err error) {
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range joined.Unwrap() {
				walk(e)
			}
			return
		}
		if err != nil {
			out = append(out, err.Error())
		}
	}
	walk(err)
	slices.Sort(out)
	out = slices.Compact(out)
	return out[:min(len(out), remembered)]
}

// brief is the first of some texts.
func brief(texts []string) string {
	more := ""
	if len(texts) > shown {
		texts, more = texts[:shown], "; ..."
	}
	return strings.Join(texts, "; ") + more
}
