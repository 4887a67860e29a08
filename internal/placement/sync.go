package placement

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/weftnet/weft"
	"github.com/weftnet/weft/internal/placement/tree"
	"github.com/weftnet/weft/internal/store"
)

// Config is what a Syncer is made of.
type Config struct {
	Log   *slog.Logger
	DB    *store.DB
	API   *API
	Kinds []tree.Kind   // of agents that have providers
	Audit time.Duration // how often all that is right is looked at again; 0 is ten minutes
}

// Syncer makes Placement have what it must have for the agents in the database, and
// takes away what this cloud made there for agents, interfaces or amounts that are no
// more. It may run in several servers of a cloud: whoever comes second finds it done.
type Syncer struct {
	Config
	kinds map[string]tree.Kind // by type of agent
	right map[string]string    // agents by id, with what was found right or made so
	ills  ills
}

// NewSyncer makes one; Run runs it.
func NewSyncer(c Config) *Syncer {
	if c.Audit == 0 {
		c.Audit = 10 * time.Minute
	}
	s := &Syncer{Config: c, kinds: map[string]tree.Kind{}, right: map[string]string{}, ills: ills{log: c.Log}}
	for _, k := range c.Kinds {
		s.kinds[k.AgentType] = k
	}
	return s
}

// The pauses between attempts while something is wrong.
const (
	firstPause = time.Second
	lastPause  = 30 * time.Second
)

// Run syncs whenever an agent is new, has started, reports something else or is
// deleted; again and again while that fails; and now and then to find what others have
// changed in Placement. It returns nil when ctx ends.
func (s *Syncer) Run(ctx context.Context) error {
	pause, audited, seq := firstPause, time.Now(), int64(0)
	for ctx.Err() == nil {
		head, err := s.DB.Read(ctx, nil).Head() // before looking, so that nothing falls between
		if err == nil {
			seq = head
			err = s.Sync(ctx)
		}
		s.ills.tell(err)
		wait := s.Audit - time.Since(audited)
		if err != nil {
			wait, pause = pause, min(2*pause, lastPause)
		} else {
			pause = firstPause
		}
		s.await(ctx, seq, wait)
		if time.Since(audited) >= s.Audit {
			audited = time.Now()
			clear(s.right)
		}
	}
	return nil
}

// await returns when something is to be done about agents, and at the latest after a
// while.
func (s *Syncer) await(ctx context.Context, seq int64, wait time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if _, err := s.DB.WaitNoun(ctx, store.Agents.Name, seq); err != nil {
		<-ctx.Done() // also if it is the database that fails
	}
}

// Sync does what is to be done now. The error tells all that has failed; agents are
// independent of each other.
func (s *Syncer) Sync(ctx context.Context) error {
	tx := s.DB.Read(ctx, nil)
	agents, err := store.Agents.Find(tx)
	if err != nil {
		return fmt.Errorf("reading the agents: %w", err)
	}
	made, err := tx.ResourceProviders()
	if err != nil {
		return fmt.Errorf("reading which resource providers there are: %w", err)
	}
	kept := keep{byID: map[string]bool{}, hosts: map[string]bool{}}
	remembered := map[string]store.ResourceProvider{}
	for _, p := range made {
		remembered[p.UUID] = p
	}
	var errs []error
	for _, a := range agents {
		kind, ok := s.kinds[a.AgentType]
		if !ok {
			continue
		}
		want, err := tree.Of(kind, a.Configurations)
		if err == nil {
			kept.providers(want)
			err = s.agent(ctx, a, want, remembered)
		} else {
			kept.hosts[a.Host] = true // whatever it means
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s on %s: %w", a.AgentType, a.Host, err))
		}
	}
	for _, p := range made {
		if kept.byID[p.UUID] || kept.hosts[p.Host] {
			continue
		}
		if err := s.remove(ctx, p); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// keep is which of the providers that there are must not be taken away.
type keep struct{ byID, hosts map[string]bool }

func (k keep) providers(list []tree.Provider) {
	for _, p := range list {
		k.byID[p.UUID] = true
	}
}

// agent makes Placement right about one agent, unless that is known to be so since the
// agent has started.
func (s *Syncer) agent(ctx context.Context, a *weft.Agent, want []tree.Provider,
	remembered map[string]store.ResourceProvider) error {
	text, err := json.Marshal(want)
	if err != nil {
		return fmt.Errorf("encoding what has to be: %w", err)
	}
	state := a.StartedAt + " " + string(text)
	if s.right[a.ID] == state {
		return nil
	}
	delete(s.right, a.ID)
	if err := s.remember(ctx, a.Host, want, remembered); err != nil {
		return err
	}
	changes, err := s.API.converge(ctx, want)
	if changes > 0 {
		s.Log.Info("placement: resource providers changed", "agent", a.AgentType, "host", a.Host, "requests", changes)
	}
	if err := s.report(ctx, a, err == nil); err != nil {
		return err
	}
	if err == nil {
		s.right[a.ID] = state
	}
	return err
}

// remember writes down what is about to be made.
func (s *Syncer) remember(ctx context.Context, host string, want []tree.Provider, have map[string]store.ResourceProvider) error {
	var fresh []store.ResourceProvider
	for _, p := range want {
		if r := (store.ResourceProvider{UUID: p.UUID, Name: p.Name, Host: host}); have[p.UUID] != r {
			fresh = append(fresh, r)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	err := s.DB.Update(ctx, weft.SystemCaller("placement"), func(tx *store.Tx) error {
		for _, r := range fresh {
			if err := tx.KeepResourceProvider(r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("remembering what is made: %w", err)
	}
	return nil
}

// report notes at the agent whether Placement knows of its resources.
func (s *Syncer) report(ctx context.Context, a *weft.Agent, synced bool) error {
	if a.ResourcesSynced != nil && *a.ResourcesSynced == synced {
		return nil
	}
	err := s.DB.Update(ctx, weft.SystemCaller("placement"), func(tx *store.Tx) error {
		now, err := store.Agents.Get(tx, a.ID)
		if err != nil {
			return err
		}
		now.ResourcesSynced = &synced
		return store.Agents.Rewrite(tx, now)
	})
	if err != nil && !weft.IsKind(err, weft.NotFound) {
		return fmt.Errorf("noting whether resources are synced: %w", err)
	}
	return nil
}

// remove takes away a provider that nobody needs any more.
func (s *Syncer) remove(ctx context.Context, p store.ResourceProvider) error {
	if err := s.API.remove(ctx, p.UUID); err != nil {
		return fmt.Errorf("removing %s, which no agent reports any more: %w", p.Name, err)
	}
	s.Log.Info("placement: resource provider removed", "name", p.Name, "uuid", p.UUID)
	err := s.DB.Update(ctx, weft.SystemCaller("placement"), func(tx *store.Tx) error { return tx.ForgetResourceProvider(p.UUID) })
	if err != nil {
		return fmt.Errorf("forgetting %s: %w", p.Name, err)
	}
	return nil
}

// ills tells the log what is wrong: when that begins, now and then while it lasts, and
// when it ends.
type ills struct {
	log  *slog.Logger
	what string // "": nothing
	told time.Time
}

// How often something else that is wrong is told, and what lasts.
const (
	retell = time.Minute
	repeat = 10 * time.Minute
)

func (i *ills) tell(err error) {
	since := time.Since(i.told)
	switch {
	case err == nil && i.what == "", errors.Is(err, context.Canceled):
	case err == nil:
		i.log.Info("placement: all resource providers are right again")
		i.what, i.told = "", time.Time{}
	case since >= repeat, since >= retell && err.Error() != i.what:
		i.log.Warn("placement: not all resource providers are right; minimum bandwidth may not be scheduled", "error", err)
		i.what, i.told = err.Error(), time.Now()
	}
}
