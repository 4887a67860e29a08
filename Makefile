# weft: build, run, test. `make run` and `make test` are all that a new clone needs.
GO     ?= go
STATE  ?= .weft
export CGO_ENABLED = 0

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: stress race-short test-keystone build install run demo test test-differential race bench hostile lint fuzz clean

build:
	$(GO) build -trimpath -ldflags "-s -w" -o bin/weft ./cmd/weft

run: build
	bin/weft up --state-dir $(STATE)

# Where `make install` puts things; packagers set DESTDIR.
PREFIX  ?= /usr/local
DESTDIR ?=
install: build
	install -D -m 755 bin/weft $(DESTDIR)$(PREFIX)/bin/weft
	test -e $(DESTDIR)/etc/weft/weft.conf || install -D -m 640 etc/weft.conf $(DESTDIR)/etc/weft/weft.conf
	mkdir -p $(DESTDIR)/etc/systemd/system
	sed 's|@PREFIX@|$(PREFIX)|' etc/weft.service >$(DESTDIR)/etc/systemd/system/weft.service

demo: build
	bin/weft demo --state-dir $(STATE)

# What the tests use beside Go is installed when this runs as root on Debian;
# without it they skip what they cannot do, and say so. With WEFT_REQUIRE=1 they fail.
test: build
	@scripts/test-packages
	$(GO) test -timeout 25m ./...
	WEFT_TEST_DATABASE=postgresql $(GO) test -timeout 10m ./internal/core -rapid.checks=5
	WEFT_TEST_DATABASE=postgresql $(GO) test -timeout 10m ./internal/l3 ./internal/secgroup ./internal/quota

# weft beside Debian's Keystone, which is installed when this runs as root, and runs
# on a host of the test's own.
test-keystone:
	@scripts/test-packages keystone
	@command -v keystone-wsgi-public >/dev/null && command -v openstack >/dev/null || { echo "keystone or the openstack client is not installed"; exit 1; }
	WEFT_TEST_KEYSTONE=1 $(GO) test -count=1 -v -timeout 14m -run '^TestKeystone$$' ./test/e2e

# A real OpenStack with weft as its network service (docs/testing.md). OPENSTACK are
# flags, such as -only flow.
.PHONY: test-openstack
test-openstack: build
	@scripts/test-packages keystone nova-api nova-conductor nova-scheduler nova-compute placement-api glance-api heat-api heat-engine \
		rabbitmq-server mariadb-server memcached python3-pymysql uwsgi-plugin-python3 libvirt-daemon-system libvirt-clients \
		qemu-system-x86 qemu-utils sudo openstack-dashboard python3-pymemcache chromium
	$(GO) build -o bin/openstack ./test/openstack
	bin/openstack $(OPENSTACK)

# The same requests to a Neutron and to weft; docs/testing.md says which Neutron.
test-differential: build
	$(GO) build -o bin/differential ./test/differential
	bin/differential

# The test suites of Neutron's own peers, against a weft (docs/testing.md). What is
# missing of Debian's packages is installed when this runs as root.
PEERS = test-tempest test-neutron-tempest test-openstackclient test-openstacksdk test-gophercloud \
	test-terraform test-neutronclient test-rally
test-tempest: PACKAGES = tempest
test-neutron-tempest: PACKAGES = tempest neutron-tempest-plugin
test-neutronclient: PACKAGES = python3-neutronclient python3-os-client-config python3-stestr tempest
test-rally: PACKAGES = rally python3-rally-openstack
test-openstackclient: PACKAGES = python3-openstackclient python3-stestr tempest
test-openstacksdk: PACKAGES = python3-openstackclient python3-openstacksdk python3-stestr python3-oslotest
.PHONY: $(PEERS) test-peers
$(PEERS): build
	@scripts/test-packages $(PACKAGES)
	$(GO) build -o bin/peers-run ./test/peers
	bin/peers-run $(@:test-%=%)

# The suites that every change has to pass, side by side: tempest waits most of the
# time. A suite that cannot be had here is skipped, and named; with WEFT_REQUIRE=1 it
# fails.
test-peers: build
	@scripts/test-packages tempest python3-openstackclient python3-openstacksdk python3-stestr python3-oslotest
	$(GO) build -o bin/peers-run ./test/peers
	bin/peers-run $(if $(filter 1,$(WEFT_REQUIRE)),,-optional) -at-once 2 tempest gophercloud openstacksdk openstackclient

race:
	CGO_ENABLED=1 $(GO) test -race -timeout 30m ./...

# What guests and strangers reach, under the race detector: the part of it that CI
# does. What stands on a database takes too long for that; `make race` has all.
RACY = ./internal/run ./internal/serve ./internal/fair ./internal/body ./internal/agent ./internal/agent/share \
	./internal/agent/dhcp ./internal/agent/metadata
race-short:
	CGO_ENABLED=1 $(GO) test -race -short -timeout 15m $(RACY)

# Sixteen clients at once for a minute, on each database.
stress:
	$(GO) test ./internal/api -run 'TestStress$$' -stress 60s -timeout 10m -v

bench: build
	$(GO) run ./bench

# One tenant against the others (docs/testing.md); P99=200ms for a slow machine.
P99 ?= 100ms
hostile: build
	$(GO) build -o bin/hostile ./test/hostile
	bin/hostile -p99 $(P99)

lint:
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "gofmt would change these"; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

# Every fuzz target for a short while.
FUZZTIME ?= 10s
FUZZED ?= ./...
fuzz:
	@scripts/fuzz $(FUZZTIME) $(FUZZED)

clean:
	rm -rf bin
