package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"github.com/weftnet/weft/internal/client"
	"github.com/weftnet/weft/internal/config"
	"github.com/weftnet/weft/internal/identity"
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
func (d stateDir) metadataSecret() (string, error) {
	data, err := os.ReadFile(d.secret())
	if err == nil && len(data) > 0 {
		return string(data), nil
	}
	b := make([]byte, 32)
	rand.Read(b)
	secret := hex.EncodeToString(b)
	return secret, writePrivate(d.secret(), []byte(secret))
}

// passwords are those of clouds.yaml, and new ones for the users that it does not
// have, who are also listed as lost.
func (d stateDir) passwords() (all map[string]string, lost []string, err error) {
	old, err := client.ReadClouds(d.clouds())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, nil, err
	}
	all = map[string]string{}
	for cloud, user := range cloudUsers {
		if all[user] = old.Clouds[cloud].Auth.Password; all[user] == "" {
			all[user] = rand.Text()
			lost = append(lost, user)
		}
	}
	return all, lost, nil
}

// cloudUsers is the clouds of clouds.yaml: weft is the administrator, weft-demo an
// ordinary member. Each user's project has the user's name.
var cloudUsers = map[string]string{"weft": identity.AdminUser, "weft-demo": identity.DemoUser}

func (d stateDir) writeClouds(authURL string, passwords map[string]string) error {
	out := client.Clouds{Clouds: map[string]client.Cloud{}}
	for cloud, user := range cloudUsers {
		var c client.Cloud
		c.Auth = client.Auth{AuthURL: authURL, Username: user, Password: passwords[user], ProjectName: user,
			UserDomainName: "Default", ProjectDomainName: "Default"}
		c.RegionName, c.IdentityAPIVersion = "RegionOne", 3
		out.Clouds[cloud] = c
	}
	data, err := yaml.Marshal(out)
	if err != nil {
		return fmt.Errorf("encoding clouds.yaml: %w", err)
	}
	return writePrivate(d.clouds(), data)
}

// keepCloud writes one cloud of clouds.yaml and keeps the others as they are.
func (d stateDir) keepCloud(name string, c client.Cloud) error {
	var file struct {
		Clouds map[string]any `yaml:"clouds"`
	}
	data, err := os.ReadFile(d.clouds())
	if err == nil {
		err = yaml.Unmarshal(data, &file)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if file.Clouds == nil {
		file.Clouds = map[string]any{}
	}
	file.Clouds[name] = c
	if data, err = yaml.Marshal(file); err != nil {
		return err
	}
	return writePrivate(d.clouds(), data)
}
