# deltaflow: build with PGXS. `make help` lists the targets.

EXTENSION    = deltaflow
EXTVERSION   = 0.1
MODULE_big   = deltaflow

# The server to build for: PG_CONFIG when given, else the newest that can be built for.
ifeq ($(origin PG_CONFIG),undefined)
PG_CONFIG   := $(shell tools/find_pg_config)
endif

C_SOURCES    = $(sort $(wildcard src/*.c src/*/*.c))
CXX_SOURCES  = $(sort $(wildcard src/*/*.cpp))
OBJS         = $(C_SOURCES:.c=.o) $(CXX_SOURCES:.cpp=.o)

# The install script is assembled in this order: later files may use earlier objects.
SQL_PARTS    = tables window fdw ingest view pane batch worker monitor
DATA_built   = $(EXTENSION)--$(EXTVERSION).sql

EXTRA_CLEAN  = $(OBJS:.o=.bc) build

# Before 16 the server left every symbol of a module visible; ours are hidden but for SQL entry points.
PG_CPPFLAGS  = -I$(srcdir)/src -DDELTAFLOW_VERSION='"$(EXTVERSION)"' \
               -DPGDLLEXPORT='__attribute__((visibility("default")))'
PG_CFLAGS    = -std=gnu11 -Wextra -Werror -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers \
               -Wno-clobbered -fvisibility=hidden
PG_CXXFLAGS  = -std=c++17 -Wall -Wextra -Werror -fno-exceptions -fno-rtti -fvisibility=hidden
SHLIB_LINK   = -lrdkafka -lsimdjson -lstdc++

# Bitcode would need the server's own clang and brings a C extension of this kind nothing.
override with_llvm = no

# Goals that set themselves up, on a machine where nothing is installed yet.  PGXS
# has a `check` of its own, so it is read only for the goals that build.
OWN_GOALS    = help test check check-all demo bench lint tools
GOALS        = $(or $(MAKECMDGOALS),all)

ifneq ($(filter-out $(OWN_GOALS),$(GOALS)),)

ifeq ($(PG_CONFIG),)
$(error no PostgreSQL server with development files found: run tools/install_deps build, or set PG_CONFIG)
endif
PGXS        := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

$(DATA_built): $(SQL_PARTS:%=src/sql/%.sql) Makefile
	@{ printf '%s\n' '\echo Use "CREATE EXTENSION deltaflow" to load this file. \quit'; cat $(filter %.sql,$^); } > $@

# Headers are few and small: any change rebuilds all.
$(OBJS): $(sort $(wildcard src/*.h src/*/*.h))

# Every regression test gets a database of its own, in the server that PGHOST and PGPORT name.
installcheck: regress-installed
.PHONY: regress-installed
regress-installed:
	tools/run_tests --installed regress

clean: clean-tools
.PHONY: clean-tools
clean-tools:
	for tool in $(dir $(wildcard tools/*/Makefile)); do $(MAKE) -C $$tool clean; done

else
.PHONY: $(OWN_GOALS)

help:
	@echo 'make                builds the extension for the server of PG_CONFIG'
	@echo 'make install        installs it there'
	@echo 'make demo           a guided tour on a private server and a mock broker; ends by itself'
	@echo 'make check          installs what tests need, then runs every test on this PostgreSQL'
	@echo 'make check-all      the same with nothing skipped, then on PostgreSQL 17 and 18 in chroots'
	@echo 'make test           the quick ones: unit tests, regression tests, a few of the others'
	@echo 'make installcheck   the regression tests, against the running server of PGHOST and PGPORT'
	@echo 'make bench          measures rates and costs over a real Kafka'
	@echo 'make lint           the rules of the source tree'
	@echo 'make tools          builds the mock broker and kafkactl'
	@echo 'make clean          removes what was built'

test:
	@tools/run_tests --quick

check:
	@tools/install_deps build test
	@[ -n "$(DELTAFLOW_KAFKA)" ] || tools/install_deps kafka || [ -z "$(REQUIRE_ALL)" ]
	@tools/run_tests

check-all:
	@tools/check_all

demo:
	@tools/install_deps build demo
	@demo/run

bench:
	@tools/install_deps build kafka
	@bench/run

lint:
	@tools/lint

tools:
	@for tool in $(dir $(wildcard tools/*/Makefile)); do $(MAKE) --no-print-directory -C $$tool || exit 1; done

endif
