package quiet

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestLogger(t *testing.T) {
	var out bytes.Buffer
	log := Logger(slog.New(slog.NewTextHandler(&out, nil)))
	b := log.Handler().(handler).budget
	at := time.Now()
	b.now = func() time.Time { return at }
	count := func() int {
		defer out.Reset()
		return strings.Count(out.String(), "\n")
	}
	for i := range 1000 {
		log.With("mac", i).Warn("declined")
		log.WithGroup("g").Debug("not logged at this level")
	}
	if got := count(); got != lines {
		t.Errorf("%d lines of 1000", got)
	}
	log.Warn("another")
	if got := count(); got != 1 {
		t.Errorf("another message: %d lines", got)
	}
	at = at.Add(period)
	log.Warn("declined")
	if got := out.String(); !strings.Contains(got, fmt.Sprint("left_out_before=", 1000-lines)) {
		t.Errorf("a period later: %q", got)
	}
	out.Reset()
	for i := range 10000 {
		log.Warn(fmt.Sprint("message ", i))
	}
	if got := count(); got > distinct+lines || len(b.spent) > distinct+1 {
		t.Errorf("%d lines of different messages, %d kept", got, len(b.spent))
	}
}
