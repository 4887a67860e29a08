package demo

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/weftnet/weft/internal/client"
	"github.com/weftnet/weft/internal/plug"
)

// Config is what a Demo is made of.
type Config struct {
	Out     io.Writer
	Admin   *client.Client // the administrator
	Member  *client.Client // an ordinary member of another project
	Outside string         // namespace that stands for the outside world
	Physnet string         // physical network of the external network
	Tag     string         // goes into the names of instances' namespaces, where others may have the usual ones

	// Plug attaches a namespace to a port and takes its address by DHCP.
	Plug func(ctx context.Context, portID, namespace string) (plug.Lease, error)
	// Unplug takes the namespace away again.
	Unplug func(ctx context.Context, portID, namespace string) error
}

// Demo is a run of the demonstration.
type Demo struct {
	Config
	t      *topology
	failed int
	proofs int
}

// New makes a Demo.
func New(c Config) *Demo { return &Demo{Config: c} }

// Run builds the topology, proves it and prints a line per proof. The error says
// how many proofs failed, if any did.
func (d *Demo) Run(ctx context.Context) error {
	start := time.Now()
	if err := d.build(ctx); err != nil {
		return err
	}
	fmt.Fprintf(d.Out, "built in %s\n\n", time.Since(start).Round(time.Millisecond))
	for _, p := range d.plan() {
		d.prove(ctx, p)
	}
	d.summary()
	if d.failed > 0 {
		return fmt.Errorf("%d of %d proofs failed", d.failed, d.proofs)
	}
	return nil
}

// proof is one claim and the traffic that shows it.
type proof struct {
	claim string
	show  func(ctx context.Context) (detail string, err error)
}

func (d *Demo) prove(ctx context.Context, p proof) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	d.proofs++
	start := time.Now()
	detail, err := p.show(ctx)
	took := time.Since(start).Round(time.Millisecond)
	if err != nil {
		d.failed++
		fmt.Fprintf(d.Out, "FAIL  %s: %v (%s)\n", p.claim, err, took)
		return
	}
	fmt.Fprintf(d.Out, "ok    %s: %s (%s)\n", p.claim, detail, took)
}

// summary is the table of what was made.
func (d *Demo) summary() {
	w := tabwriter.NewWriter(d.Out, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "\nnetwork\ttype\tsegment\tsubnets\n")
	for _, n := range d.t.networks {
		segment := ""
		if n.Provider != nil && n.SegmentationID != nil {
			segment = fmt.Sprint(*n.SegmentationID)
		}
		kind := "as the cloud chose"
		if n.Provider != nil {
			kind = n.NetworkType
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%v\n", n.Name, kind, segment, d.t.cidrs(n.ID))
	}
	fmt.Fprintf(w, "\ninstance\tnamespace\taddress\tMAC\tport\n")
	for _, i := range d.t.instances {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", i.name, i.namespace, i.address, i.port.MAC, i.port.ID)
	}
	w.Flush()
	if d.failed == 0 {
		fmt.Fprintf(d.Out, "\nall %d proofs passed\n", d.proofs)
	}
}
