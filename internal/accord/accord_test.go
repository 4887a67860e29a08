package accord_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weftnet/weft/internal/accord"
)

// term writes down what becomes of it.
type term struct {
	name    string
	diary   *[]string
	refuses bool
}

func (t term) Key() string { return t.name }

func (t term) Agree(context.Context) error {
	if t.refuses {
		return errors.New(t.name + " is refused")
	}
	*t.diary = append(*t.diary, "agree "+t.name)
	return nil
}

func (t term) Withdraw(ctx context.Context) error {
	*t.diary = append(*t.diary, "withdraw "+t.name)
	return ctx.Err() // the client may have gone
}

func TestDo(t *testing.T) {
	var diary []string
	terms := func(names ...string) (out []accord.Term) {
		for _, n := range names {
			out = append(out, term{n, &diary, n == "impossible"})
		}
		return out
	}
	for _, c := range []struct {
		name  string
		needs [][]string // by attempt; the last again and again
		fails error      // of the transaction, once all is agreed to
		want  []string
		err   string
	}{
		{name: "nothing", needs: [][]string{nil}, want: []string{"commit"}},
		{name: "one", needs: [][]string{{"a"}}, want: []string{"agree a", "commit"}},
		{name: "two at once", needs: [][]string{{"a", "b"}}, want: []string{"agree a", "agree b", "commit"}},
		{name: "refused", needs: [][]string{{"a", "impossible"}},
			want: []string{"agree a", "withdraw a"}, err: "impossible is refused"},
		{name: "the world changes", needs: [][]string{{"a"}, {"b"}, {"b"}},
			want: []string{"agree a", "withdraw a", "agree b", "commit"}},
		{name: "no longer needed", needs: [][]string{{"a"}, nil}, want: []string{"agree a", "commit", "withdraw a"}},
		{name: "fails after all", needs: [][]string{{"a"}}, fails: errors.New("disk full"),
			want: []string{"agree a", "withdraw a"}, err: "disk full"},
		{name: "always something else", needs: [][]string{{"a"}, {"b"}, {"c"}, {"d"}, {"e"}, {"f"}},
			err: "Conflict: Others change the same all the time; try again.",
			want: []string{"agree a", "withdraw a", "agree b", "withdraw b", "agree c", "withdraw c", "agree d", "withdraw d",
				"agree e", "withdraw e"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			diary = nil
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			attempt := 0
			err := accord.Do(ctx, slog.New(slog.DiscardHandler), func(ctx context.Context) error {
				needs := c.needs[min(attempt, len(c.needs)-1)]
				attempt++
				if err := accord.Need(ctx, terms(needs...)...); err != nil {
					return fmt.Errorf("in the transaction: %w", err)
				}
				if c.fails != nil {
					leave()
					return c.fails
				}
				diary = append(diary, "commit")
				return nil
			})
			if got := fmt.Sprint(err); err != nil && got != c.err || err == nil && c.err != "" {
				t.Errorf("error %v, want %q", err, c.err)
			}
			if diff := cmp.Diff(c.want, diary); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// Where nobody asks, what needs others fails rather than going without.
func TestNeedAlone(t *testing.T) {
	if err := accord.Need(t.Context()); err != nil {
		t.Error(err)
	}
	if err := accord.Need(t.Context(), term{name: "a"}); err == nil {
		t.Error("no error")
	}
}
