package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"
)

// brief is what an attacker is told.
type brief struct {
	Attacker, Victim tenant
	External         string // a network of everybody's
}

// report is what he did.
type report struct {
	Statuses map[int]int // answers by status; 0 is no answer
	Faults   []string    // answers that there must not be
}

// kind is a way to attack.
type kind struct {
	name string
	do   func(*attack) error
}

// kinds are all, in the order in which they are tried. The first is what the others
// wait when nobody attacks.
var kinds = []kind{
	{"quiet", quiet},
	{"slow-readers", slowReaders},
	{"slow-senders", slowSenders},
	{"huge-lists", hugeLists},
	{"bulk", bulk},
	{"updates", updates},
	{"tags", tags},
	{"passwords", passwords},
	{"ids", ids},
}

// attack is an attacker at work.
type attack struct {
	brief
	options
	member, reader *caller

	mu     sync.Mutex
	report report
}

// beAttacker reads a brief, attacks, and writes a report.
func beAttacker(o options) error {
	a := &attack{options: o, report: report{Statuses: map[int]int{}}}
	if err := json.NewDecoder(os.Stdin).Decode(&a.brief); err != nil {
		return err
	}
	a.member, a.reader = newCaller(o.from, ""), newCaller(o.from, "")
	if _, err := a.member.login(a.Attacker.member(), a.Attacker.member(), a.Attacker.Name); err != nil {
		return err
	}
	if _, err := a.reader.login(a.Attacker.reader(), a.Attacker.reader(), a.Attacker.Name); err != nil {
		return err
	}
	for _, k := range kinds {
		if k.name == o.attack {
			if err := k.do(a); err != nil {
				return err
			}
			return json.NewEncoder(os.Stdout).Encode(a.report)
		}
	}
	return fmt.Errorf("no kind %q", o.attack)
}

func quiet(a *attack) error {
	time.Sleep(a.span)
	return nil
}

// try does a request of an attack and counts the answer. No answer in half a minute is
// a fault, as is what is unexpected.
func (a *attack) try(c *caller, method, path string, body any, expected func(status int) bool) int {
	sent, ok := body.([]byte)
	if !ok && body != nil {
		var err error
		if sent, err = json.Marshal(body); err != nil {
			panic(err) // else an attack that was not sent would count as refused
		}
	}
	begin := time.Now()
	status, answer, _ := c.do(method, path, sent)
	took := time.Since(begin)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.report.Statuses[status]++
	if took > 30*time.Second {
		a.report.Faults = append(a.report.Faults, fmt.Sprintf("%s %s took %v", method, path, took))
	}
	if !expected(status) {
		a.report.Faults = append(a.report.Faults, fmt.Sprintf("%s %s %.120s: %d %.120s", method, path, sent, status, answer))
	}
	return status
}

// whatever is for attacks of which the server may take a part. 5xx are counted anyway.
func whatever(int) bool { return true }

// refused is 4xx, or a connection that was closed before a body had been sent.
func refused(status int) bool { return status == 0 || status >= 400 && status < 500 }

// together does something from many connections at once until the span is over.
func (a *attack) together(connections int, do func(connection, turn int)) {
	end := time.Now().Add(a.span)
	var wg sync.WaitGroup
	for i := range connections {
		wg.Go(func() {
			for turn := 0; time.Now().Before(end); turn++ {
				do(i, turn)
			}
		})
	}
	wg.Wait()
}
