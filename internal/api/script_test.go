package api_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/store"
	"github.com/weftnet/weft/internal/store/storetest"
)

// TestScripts plays the exchanges in testdata/script, each file against a server
// of its own on each kind of database. A file is sections, "-- title --"; a section is exchanges:
//
//	alice POST /v2.0/networks {"network": {"name": "n"}}
//	-> 201 network {"name": "n", "status": "ACTIVE"} as net
//
// The first word is who asks. A header goes in brackets after the path:
// [If-Match: revision_number=1]. Lines that begin with white space continue the
// line before, # begins a comment. The answer is a status and then one of
//
//	KEY JSON          that member of the body has at least these members
//	KEYS JSON         of a list: these elements in any order and no others
//	KEYS sorted JSON  these in this order and no others
//	KEYS has JSON     these among others
//	KEYS lacks JSON   none like one of these
//	KEY names A B     exactly these members, in any order
//	TYPE words        an error of this type whose message or detail contains the words
//	header NAME: text a header that contains the text
//
// KEY is * for the whole body. "as NAME" keeps the member; $NAME.a.b or ${NAME.a.b}
// is then a value in it, anywhere in the lines below. $A, $B and $ADMIN are projects, $NONE is
// an id that nothing has. In the JSON expected "<uuid>", "<time>", "<mac>", "<ip>",
// "<int>" and "<any>" stand for values of that form, "<absent>" for no such member.
// A refusal must leave the change log as it was. Beside requests there are
//
//	host NAME begins   a further host, its agents alive
//	host NAME dies     its agents are no longer heard of
//	host NAME returns
//
// after each of which the server looks after its agents.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, db *store.DB) {
				w := newWorld(t, db)
				p := &player{file: file, world: w, spec: readDocument(t, w), vars: map[string]any{"A": projectA, "B": projectB, "ADMIN": projectAdmin, "NONE": absent}}
				for _, s := range sections(string(data)) {
					t.Run(s.title, func(t *testing.T) { p.play(t, s.exchanges) })
				}
			})
		})
	}
}

// section is a named run of exchanges.
type section struct {
	title     string
	exchanges []exchange
}

// exchange is a request and what it is to be answered with.
type exchange struct {
	line      int
	ask, want string
}

func sections(text string) []section {
	out := []section{{title: "begin"}}
	for i, line := range strings.Split(text, "\n") {
		cur := &out[len(out)-1]
		switch {
		case strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "-- "):
			out = append(out, section{title: strings.Trim(line, "- ")})
		case strings.HasPrefix(line, "->"):
			cur.exchanges[len(cur.exchanges)-1].want = strings.TrimSpace(line[2:])
		case line[0] == ' ' || line[0] == '\t':
			e := &cur.exchanges[len(cur.exchanges)-1]
			if e.want == "" {
				e.ask += " " + strings.TrimSpace(line)
			} else {
				e.want += " " + strings.TrimSpace(line)
			}
		default:
			cur.exchanges = append(cur.exchanges, exchange{line: i + 1, ask: line})
		}
	}
	return slices.DeleteFunc(out, func(s section) bool { return len(s.exchanges) == 0 })
}

// player plays exchanges and remembers values of answers.
type player struct {
	*world
	spec document // which answers must agree with
	file string
	vars map[string]any
}

var (
	happening = regexp.MustCompile(`^host (\w+) (begins|dies|returns)$`)
	asking    = regexp.MustCompile(`^(\w+) ([A-Z]+) (\S+)(?: \[([\w-]+): ([^\]]*)\])?(?: (.*))?$`)
	keeping   = regexp.MustCompile(`^(.*?)\s*\bas (\w+)$`)
	variable  = regexp.MustCompile(`\$\{[\w.:-]+\}|\$[A-Za-z]\w*(?:\.[\w:-]+)*`)
)

func (p *player) play(t *testing.T, exchanges []exchange) {
	for _, e := range exchanges {
		if err := p.one(e); err != nil {
			t.Fatalf("%s:%d: %s\n%v", p.file, e.line, e.ask, err)
		}
	}
}

func (p *player) one(e exchange) error {
	ask, err := p.fill(e.ask)
	if err != nil {
		return err
	}
	want, err := p.fill(e.want)
	if err != nil {
		return err
	}
	if m := happening.FindStringSubmatch(ask); m != nil {
		return p.happen(m[1], m[2])
	}
	m := asking.FindStringSubmatch(ask)
	if m == nil {
		return fmt.Errorf("not a request: %s", ask)
	}
	header := http.Header{}
	if m[4] != "" {
		header.Set(m[4], m[5])
	}
	before := p.head()
	got := p.do(m[1], m[2], m[3], m[6], header)
	if got.Code < 300 && m[2] != "HEAD" { // which is GET without its body
		if err := p.spec.check(m[2], m[3], got.Code, got.Body.Bytes()); err != nil {
			return err
		}
	}
	if after := p.head(); got.Code >= 400 && after != before {
		return fmt.Errorf("the refusal %d %s wrote to the change log", got.Code, got.Body)
	}
	if err := p.check(got.Code, got.Header(), got.Body.Bytes(), want); err != nil {
		return fmt.Errorf("%v\nwant %s\n got %d %.1500s", err, want, got.Code, got.Body)
	}
	return nil
}

// happen lets something befall a host.
func (p *player) happen(host, what string) error {
	beat := time.Now().UTC()
	switch what {
	case "begins":
		p.agents(host)
	case "dies":
		beat = beat.Add(-time.Hour)
	}
	return p.db.Update(p.t.Context(), weft.SystemCaller("test"), func(tx *store.Tx) error {
		agents, err := store.Agents.Find(tx, store.Eq("host", host))
		for _, a := range agents {
			a.Heartbeat = beat.Format(time.DateTime)
			err = errors.Join(err, store.Agents.Rewrite(tx, a))
		}
		return errors.Join(err, p.cloud.Watch(tx))
	})
}

// fill puts remembered values in the place of their names.
func (p *player) fill(s string) (string, error) {
	var bad error
	out := variable.ReplaceAllStringFunc(s, func(ref string) string {
		path := strings.Split(strings.Trim(ref, "${}"), ".")
		v, ok := p.vars[path[0]]
		for _, name := range path[1:] {
			switch x := v.(type) {
			case map[string]any:
				v, ok = x[name], ok && x[name] != nil
			case []any:
				i, err := strconv.Atoi(name)
				if ok = ok && err == nil && i < len(x); ok {
					v = x[i]
				}
			default:
				ok = false
			}
		}
		if !ok {
			bad = fmt.Errorf("no value %s", ref)
		}
		if n, number := v.(float64); number {
			return strconv.FormatFloat(n, 'f', -1, 64)
		}
		return fmt.Sprint(v)
	})
	return out, bad
}

// check compares an answer with what is wanted, and keeps what is to be kept.
func (p *player) check(status int, header http.Header, body []byte, want string) error {
	keep := ""
	if m := keeping.FindStringSubmatch(want); m != nil {
		want, keep = m[1], m[2]
	}
	code, want, _ := strings.Cut(want, " ")
	if code != strconv.Itoa(status) {
		return fmt.Errorf("status")
	}
	key, rest, _ := strings.Cut(strings.TrimSpace(want), " ")
	switch key {
	case "":
		return nil
	case "header":
		name, text, _ := strings.Cut(rest, ":")
		if !strings.Contains(header.Get(name), strings.TrimSpace(text)) {
			return fmt.Errorf("header %s is %q", name, header.Get(name))
		}
		return nil
	case "empty":
		if len(body) != 0 {
			return fmt.Errorf("the body is not empty")
		}
		return nil
	}
	var doc any
	if err := json.Unmarshal(body, &doc); err != nil {
		return err
	}
	if status >= 400 && key != "*" {
		return wrong(doc, key, rest)
	}
	got := doc
	if key != "*" {
		m, _ := doc.(map[string]any)
		var ok bool
		if got, ok = m[key]; !ok {
			return fmt.Errorf("no member %q", key)
		}
	}
	if keep != "" {
		p.vars[keep] = got
	}
	return compare(got, strings.TrimSpace(rest))
}

// wrong checks an error in Neutron's form.
func wrong(doc any, kind, words string) error {
	m, _ := doc.(map[string]any)
	e, _ := m["NeutronError"].(map[string]any)
	if e == nil {
		e, _ = m["NotImplementedError"].(map[string]any)
	}
	message, _ := e["message"].(string)
	detail, _ := e["detail"].(string)
	switch {
	case e == nil:
		return fmt.Errorf("no NeutronError")
	case e["type"] != kind:
		return fmt.Errorf("error type")
	case !strings.Contains(message, words) && !strings.Contains(detail, words):
		return fmt.Errorf("error message")
	}
	return nil
}
