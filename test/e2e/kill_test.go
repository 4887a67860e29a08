package e2e

import (
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// seedEnv repeats a run of TestKillAtRandom.
const seedEnv = "WEFT_E2E_SEED"

// TestKillAtRandom kills weft again and again while the demonstration runs and
// somebody else makes and deletes things. What was acknowledged must be there, and
// the host must be what the database says, without anything left over.
func TestKillAtRandom(t *testing.T) { onHost(t, testKillAtRandom, "ip", "bridge", "nft") }

func testKillAtRandom(t *testing.T) {
	kills := 20
	if testing.Short() {
		kills = 5
	}
	seed := uint64(time.Now().UnixNano())
	if s, err := strconv.ParseUint(os.Getenv(seedEnv), 10, 64); err == nil {
		seed = s
	}
	t.Logf("%s=%d", seedEnv, seed)
	random := rand.New(rand.NewPCG(seed, 1))
	c := newCloud(t)
	c.start()
	c.unlimited()
	book := newLedger(c, rand.New(rand.NewPCG(seed, 2)))

	enough := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() { book.keep(enough) })
	others.Go(func() { demonstrate(c, enough) })
	for range kills {
		time.Sleep(time.Duration(random.Int64N(int64(1500 * time.Millisecond))))
		c.kill()
		c.launch()
	}
	c.waitFor("weft to answer after the last kill", func() bool { return c.healthy() })
	close(enough)
	others.Wait()

	c.must("demo", "--delete")
	proven(t, c.must("demo"))
	book.check()
	c.consistent()
	c.realised()

	// Another agent finds nothing to do.
	before := c.settledKernel()
	c.kill()
	c.start()
	if diff := cmp.Diff(before, c.settledKernel()); diff != "" {
		t.Errorf("the last restart still had something to do (-before +after):\n%s", diff)
	}

	c.must("demo", "--delete")
	c.consistent()
	c.realised()
	t.Logf("%d requests acknowledged", book.acknowledged)
}

// demonstrate runs demonstrations until there have been enough. They fail, of
// course; taking one away must always succeed in the end.
func demonstrate(c *cloud, enough <-chan struct{}) {
	for {
		c.weft("demo")
		for {
			if _, err := c.weft("demo", "--delete"); err == nil {
				break
			}
			select {
			case <-enough:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
		select {
		case <-enough:
			return
		default:
		}
	}
}

func (c *cloud) healthy() bool {
	u := user{base: "http://127.0.0.1:" + strconv.Itoa(c.network)}
	res, err := u.do("GET", "/healthz", "")
	return err == nil && res.status == 200
}

// unlimited lets both projects have as much as they like.
func (c *cloud) unlimited() {
	admin := c.login("weft")
	for _, project := range []string{admin.project, c.login("weft-demo").project} {
		body := `{"quota":{"network":-1,"subnet":-1,"port":-1,"router":-1,"floatingip":-1,"security_group":-1,"security_group_rule":-1}}`
		if res, err := admin.do("PUT", "/v2.0/quotas/"+project, body); err != nil || res.status != 200 {
			c.t.Fatalf("%v %s", err, res.body)
		}
	}
}
