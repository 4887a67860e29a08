package api_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/weftnet/weft/internal/api"
	"github.com/weftnet/weft/internal/body"
	"github.com/weftnet/weft/internal/store/storetest"
)

// onWrite is a client in whose place something happens before it takes its answer.
type onWrite struct {
	*httptest.ResponseRecorder
	do func()
}

func (o *onWrite) Write(b []byte) (int, error) {
	if do := o.do; do != nil {
		o.do = nil
		do()
	}
	return o.ResponseRecorder.Write(b)
}

// Who does not read what a large request has made holds no room of other requests.
func TestUnreadAnswerHoldsNoRoom(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	// one of these bulks takes a project's share
	w.api.(*api.Server).Bodies = body.NewReader(body.Limits{Bytes: 16 << 10, Items: 1000})
	bulk := `{"networks":[` + strings.TrimSuffix(strings.Repeat(`{"name":"many of them"},`, 90), ",") + `]}`
	send := func(rw http.ResponseWriter) {
		rq := httptest.NewRequest("POST", "http://net:9696/v2.0/networks", strings.NewReader(bulk))
		rq.Header.Set("X-Auth-Token", "alice")
		w.api.ServeHTTP(rw, rq)
	}
	first, second := &onWrite{ResponseRecorder: httptest.NewRecorder()}, httptest.NewRecorder()
	first.do = func() { send(second) } // refused for the quota, not for want of room
	send(first)
	if first.Code != http.StatusCreated || second.Code != http.StatusConflict {
		t.Errorf("%d, and %d %.200s while the first is not read", first.Code, second.Code, second.Body)
	}
}
