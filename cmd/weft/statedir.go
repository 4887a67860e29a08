package main

import (
	"crypto/rand"
	"encoding/hex"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/weftnet/weft/internal/config"
)

// stateDir is the folder that holds all that weft keeps: the database, clouds.yaml,
// the process id.
type stateDir string

func (d stateDir) clouds() string   { return filepath.Join(string(d), "clouds.yaml") }
func (d stateDir) database() string { return filepath.Join(string(d), "weft.db") }
func (d stateDir) pid() string      { return filepath.Join(string(d), "weft.pid") }
func (d stateDir) secret() string   { return filepath.Join(string(d), "metadata-secret") }

// register makes the flag --state-dir of a command.
func (d *stateDir) register(cmd *cobra.Command, usage string) {
	cmd.Flags().Var(d, "state-dir", usage)
	cmd.MarkFlagDirname("state-dir")
}

// Set implements pflag.Value. A folder is made absolute at once: what is told of it
// has to be right elsewhere too.
func (d *stateDir) Set(s string) error {
	path, err := filepath.Abs(s)
	*d = stateDir(path)
	return err
}

// String implements pflag.Value.
func (d *stateDir) String() string { return string(*d) }

// Type implements pflag.Value.
func (*stateDir) Type() string { return "DIR" }

// defaultStateDir is where weft keeps its state unless told otherwise.
func defaultStateDir() stateDir {
	return stateDir(config.DefaultStateDir(os.Geteuid() == 0 && !inside()))
}

// writePrivate replaces a file in one step, so that no reader and no crash ever
// sees half of it. Only its owner may read it.
func writePrivate(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err := f.Write(data); err != nil {
		f.Close()
		return err
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// metadataSecret is the secret shared with the metadata backend, made once.
func (d stateDir) metadataSecret() (string, error) { return drawnOnce(d.secret()) }

// server tells this server from others on the same database.
func (d stateDir) server() (string, error) { return drawnOnce(filepath.Join(string(d), "server-id")) }

// drawnOnce is the content of a file that is drawn at random where there is none.
func drawnOnce(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err == nil && len(data) > 0 {
		return string(data), nil
	}
	b := make([]byte, 32)
	rand.Read(b)
	drawn := hex.EncodeToString(b)
	return drawn, writePrivate(path, []byte(drawn))
}
