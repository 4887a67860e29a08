package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"
)

func (s *stack) socket() string { return filepath.Join(s.dir, "run", "mysqld.sock") }

// startDatabases starts MariaDB, with a database for every service, and memcached,
// in which Keystone, and the services for it, keep what they know of tokens.
func (s *stack) startDatabases(ctx context.Context) error {
	if err := s.start("memcached", nil, "memcached", "-u", "root", "-l", "127.0.0.1", "-p", "11211", "-m", "64", "-U",
		"0"); err != nil {
		return err
	}
	data := filepath.Join(s.dir, "mysql")
	if _, err := s.tool(ctx, nil, "mariadb-install-db", "--no-defaults", "--user=root", "--datadir="+data, "--skip-test-db",
		"--auth-root-authentication-method=normal"); err != nil {
		return err
	}
	// Nothing of it is to outlive this run, so it need not wait for the disk.
	if err := s.start("mariadb", nil, "mariadbd", "--no-defaults", "--user=root", "--datadir="+data, "--socket="+s.socket(),
		"--pid-file="+filepath.Join(s.dir, "run", "mysqld.own"), "--bind-address=127.0.0.1", "--max-connections=500",
		"--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--character-set-server=utf8"); err != nil {
		return err
	}
	if err := s.ready(ctx, "mariadb", func(ctx context.Context) bool {
		_, err := s.sql(ctx, "select 1")
		return err == nil
	}); err != nil {
		return err
	}
	var make strings.Builder
	for _, name := range []string{"keystone", "placement", "glance", "nova", "nova_api", "nova_cell0", "heat", "neutron"} {
		user, _, _ := strings.Cut(name, "_")
		fmt.Fprintf(&make, "create database %[1]s; grant all on %[1]s.* to '%[2]s'@'127.0.0.1' identified by '%[3]s', "+
			"'%[2]s'@'localhost' identified by '%[3]s';",
			name, user, password)
	}
	_, err := s.sql(ctx, make.String())
	return err
}

// sql is what the database answers: a line per row, its columns with tabs between.
func (s *stack) sql(ctx context.Context, query string) (string, error) {
	out, err := s.tool(ctx, nil, "mariadb", "--no-defaults", "-S", s.socket(), "-uroot", "-N", "-e", query)
	return strings.TrimSpace(out), err
}

// startRabbit starts RabbitMQ, and with it epmd, which it leaves behind.
func (s *stack) startRabbit(ctx context.Context) error {
	home := filepath.Join(s.dir, "rabbit")
	env := []string{"HOME=" + home, "ERL_EPMD_ADDRESS=127.0.0.1", "RABBITMQ_NODENAME=stack@localhost",
		"RABBITMQ_MNESIA_BASE=" + home,
		"RABBITMQ_LOG_BASE=" + filepath.Join(s.dir, "log"), "RABBITMQ_CONFIG_FILE=" + s.conf("rabbitmq.conf"),
		"RABBITMQ_ENABLED_PLUGINS_FILE=" + filepath.Join(home, "plugins"), "RABBITMQ_PID_FILE=" + filepath.Join(home, "pid"),
		`RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1}`}
	if err := os.WriteFile(filepath.Join(home, "plugins"), []byte("[].\n"), 0o644); err != nil {
		return err
	}
	if err := s.start("rabbitmq", env, "/usr/lib/rabbitmq/bin/rabbitmq-server"); err != nil {
		return err
	}
	control := func(args ...string) error {
		_, err := s.tool(ctx, env, "/usr/lib/rabbitmq/bin/rabbitmqctl", args...)
		return err
	}
	if err := s.ready(ctx, "rabbitmq", func(ctx context.Context) bool {
		return control("await_startup", "--timeout",
			"60") == nil
	}); err != nil {
		return err
	}
	if err := control("add_user", "openstack", password); err != nil {
		return err
	}
	return control("set_permissions", "openstack", ".*", ".*", ".*")
}

// makeTables creates the tables of all services but Keystone.
func (s *stack) makeTables(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2)
	run := func(env []string, commands ...[]string) {
		group.Go(func() error {
			for _, c := range commands {
				if _, err := s.tool(ctx, env, c[0], c[1:]...); err != nil {
					return err
				}
			}
			return nil
		})
	}
	nova := func(args ...string) []string {
		return append([]string{"nova-manage", "--config-file", s.conf("nova.conf")}, args...)
	}
	run(nil,
		nova("api_db", "sync"),
		nova("cell_v2", "map_cell0", "--database_connection", "mysql+pymysql://nova:"+password+"@127.0.0.1/nova_cell0?charset=utf8"),
		nova("cell_v2", "create_cell", "--name", "cell1"),
		nova("db", "sync"))
	run(nil, []string{"placement-manage", "--config-file", s.conf("placement.conf"), "db", "sync"})
	run(nil, []string{"glance-manage", "--config-file", s.conf("glance-api.conf"), "db_sync"})
	run(nil, []string{"heat-manage", "--config-file", s.conf("heat.conf"), "db_sync"})
	return group.Wait()
}
