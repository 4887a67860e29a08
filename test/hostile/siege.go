package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// siege is one weft, the others at work in it, and what was found.
type siege struct {
	options
	weft     *server
	admin    *caller
	external string
	others   []tenant
	rows     []row
	failed   bool
}

// row is a line of the table.
type row struct {
	kind     string
	took     map[string][]time.Duration
	refused  int // 503 that the attacker was told
	broken   int // other 5xx
	requests int
	statuses map[int]int
	peak     float64
	fds      [2]int // before and after
	threads  int
	faults   []string
}

func newSiege(o options, w *server) (*siege, error) {
	s := &siege{options: o, weft: w, admin: newCaller("127.0.0.1", "")}
	status, err := s.admin.login(w.admin.Username, w.admin.Password, w.admin.ProjectName)
	if err != nil || status != 201 {
		return nil, errors.Join(fmt.Errorf("the administrator's login: %d", status), err)
	}
	if s.external, err = external(s.admin); err != nil {
		return nil, err
	}
	for _, name := range []string{"one", "other"} {
		t, err := newTenant(s.admin, name, s.external)
		if err != nil {
			return nil, err
		}
		s.others = append(s.others, t)
	}
	return s, nil
}

// try lets an attacker of a kind loose, in a project made for it.
func (s *siege) try(k kind) error {
	attacker, err := newTenant(s.admin, "attacker-"+k.name, s.external)
	if err != nil {
		return err
	}
	before, err := s.state(attacker.Project)
	if err != nil {
		return err
	}
	r := row{kind: k.name}
	if r.fds[0], err = s.weft.descriptors(); err != nil {
		return err
	}
	if err := s.weft.forgetPeak(); err != nil {
		return err
	}
	p := startProbe(s.others, s.every)
	report, err := s.attack(k, attacker)
	r.took = p.stop()
	r.faults = append(p.faults, report.Faults...)
	if err != nil {
		return err
	}
	r.count(report.Statuses)
	if r.peak, err = s.weft.peak(); err != nil {
		return err
	}
	if err := s.settle(&r, before, attacker.Project); err != nil {
		return err
	}
	s.judge(&r)
	return nil
}

// attack runs this program again as the attacker.
func (s *siege) attack(k kind, attacker tenant) (report, error) {
	var r report
	self, err := os.Executable()
	if err != nil {
		return r, err
	}
	in, err := json.Marshal(brief{Attacker: attacker, Victim: s.others[0], External: s.external})
	if err != nil {
		return r, err
	}
	cmd := exec.Command("nice", "-n", "10", self, "-attack", k.name, "-from", s.from, "-span", s.span.String())
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.Output()
	if err != nil {
		return r, fmt.Errorf("the attacker: %w", err)
	}
	return r, json.Unmarshal(out, &r)
}

func (r *row) count(statuses map[int]int) {
	r.statuses = statuses
	for status, n := range statuses {
		r.requests += n
		switch {
		case status == 503:
			r.refused += n
		case status >= 500:
			r.broken += n
		}
	}
}

// settle waits until weft has let go of the attack's connections, and compares what
// others have with what they had.
func (s *siege) settle(r *row, before map[string]string, attacker string) error {
	var err error
	for end := time.Now().Add(time.Minute); ; time.Sleep(500 * time.Millisecond) {
		if r.fds[1], err = s.weft.descriptors(); err != nil {
			return err
		}
		if r.fds[1] <= r.fds[0]+16 || time.Now().After(end) {
			break
		}
	}
	if r.threads, err = s.weft.threads(); err != nil {
		return err
	}
	after, err := s.state(attacker)
	if err != nil {
		return err
	}
	r.faults = append(r.faults, differences(before, after)...)
	return nil
}

// judge says what of a row is not as it should be. Where the machine is so busy that
// requests take long while nobody attacks, twice as long is allowed.
func (s *siege) judge(r *row) {
	for _, work := range works {
		_, p99, _ := quantiles(r.took[work])
		most := s.p99
		if len(s.rows) > 0 {
			_, quiet, _ := quantiles(s.rows[0].took[work])
			most = max(most, 2*quiet)
		}
		if p99 > most && r.kind != kinds[0].name {
			r.faults = append(r.faults, fmt.Sprintf("one in a hundred of %s took more than %v", work, p99.Round(time.Millisecond)))
		}
	}
	if r.peak > s.memory {
		r.faults = append(r.faults, fmt.Sprintf("%.0f MiB of memory", r.peak))
	}
	if r.broken > 0 {
		r.faults = append(r.faults, fmt.Sprintf("%d answers 5xx", r.broken))
	}
	if r.fds[1] > r.fds[0]+16 {
		r.faults = append(r.faults, fmt.Sprintf("%d descriptors before, %d a minute after", r.fds[0], r.fds[1]))
	}
	s.failed = s.failed || len(r.faults) > 0
	s.rows = append(s.rows, *r)
	fmt.Fprintf(os.Stderr, "%s: answers %v, %d faults\n", r.kind, r.statuses, len(r.faults))
	for _, f := range r.faults[:min(len(r.faults), 20)] {
		fmt.Fprintln(os.Stderr, "   ", f)
	}
}

// print is the table: p50/p99/most of the others' requests in milliseconds.
func (s *siege) print() {
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "kind\t"+strings.Join(works, "\t")+"\tattacks\t503\t5xx\tMiB\tdescriptors\tthreads\tfaults")
	for _, r := range s.rows {
		cells := []string{r.kind}
		for _, work := range works {
			p50, p99, most := quantiles(r.took[work])
			cells = append(cells, fmt.Sprintf("%.1f/%.0f/%.0f", ms(p50), ms(p99), ms(most)))
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%.0f\t%d, %d\t%d\t%d\n", strings.Join(cells, "\t"),
			r.requests, r.refused, r.broken, r.peak, r.fds[0], r.fds[1], r.threads, len(r.faults))
	}
	w.Flush()
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// collections are what is compared before and after: all that projects can have.
var collections = []string{"networks", "subnets", "ports", "routers", "floatingips", "security-groups", "security-group-rules",
	"address-groups", "address-scopes", "subnetpools", "qos/policies", "trunks", "rbac-policies", "quotas", "segments", "flavors",
	"local_ips", "ndp_proxies", "log/logs", "metering/metering-labels", "metering/metering-label-rules", "network_segment_ranges",
	"service_profiles", "default-security-group-rules"}

// state is every document, as the administrator reads it, that is not a project's.
func (s *siege) state(but string) (map[string]string, error) {
	all := map[string]string{}
	for _, c := range collections {
		out := map[string]json.RawMessage{}
		if err := s.admin.must("GET", "/v2.0/"+c, nil, &out); err != nil {
			return nil, err
		}
		for _, list := range out {
			var docs []json.RawMessage
			if err := json.Unmarshal(list, &docs); err != nil {
				return nil, err
			}
			for _, d := range docs {
				var id struct {
					ID      string
					Project string `json:"project_id"`
				}
				if err := json.Unmarshal(d, &id); err != nil {
					return nil, err
				}
				if id.Project != but {
					all[c+"/"+id.ID] = string(d)
				}
			}
		}
	}
	return all, nil
}

func differences(before, after map[string]string) []string {
	var out []string
	for name, was := range before {
		if is := after[name]; is != was {
			out = append(out, fmt.Sprintf("%s was %.200s and is %.200s", name, was, is))
		}
	}
	for name := range after {
		if _, ok := before[name]; !ok {
			out = append(out, name+" was not there before")
		}
	}
	slices.Sort(out)
	return out
}
