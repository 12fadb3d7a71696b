# deltaflow: build with PGXS. `make help` lists the targets.

EXTENSION    = deltaflow
EXTVERSION   = 0.1
MODULE_big   = deltaflow
PG_CONFIG   ?= pg_config

C_SOURCES    = $(sort $(wildcard src/*.c src/*/*.c))
CXX_SOURCES  = $(sort $(wildcard src/*/*.cpp))
OBJS         = $(C_SOURCES:.c=.o) $(CXX_SOURCES:.cpp=.o)

# The install script is assembled in this order: later files may use earlier objects.
SQL_PARTS    = tables window fdw ingest view batch worker monitor
DATA_built   = $(EXTENSION)--$(EXTVERSION).sql

REGRESS      = $(patsubst sql/%.sql,%,$(sort $(wildcard sql/*.sql)))
EXTRA_CLEAN  = $(OBJS:.o=.bc)

# Before 16 the server left every symbol of a module visible; ours are hidden but for SQL entry points.
PG_CPPFLAGS  = -I$(srcdir)/src -DDELTAFLOW_VERSION='"$(EXTVERSION)"' \
               -DPGDLLEXPORT='__attribute__((visibility("default")))'
PG_CFLAGS    = -std=gnu11 -Wextra -Werror -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers \
               -Wno-clobbered -fvisibility=hidden
PG_CXXFLAGS  = -std=c++17 -Wall -Wextra -Werror -fno-exceptions -fno-rtti -fvisibility=hidden
SHLIB_LINK   = -lrdkafka -lsimdjson -lstdc++

# Bitcode would need the server's own clang and brings a C extension of this kind nothing.
override with_llvm = no

PGXS        := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

$(DATA_built): $(SQL_PARTS:%=src/sql/%.sql) Makefile
	@{ printf '%s\n' '\echo Use "CREATE EXTENSION deltaflow" to load this file. \quit'; cat $(filter %.sql,$^); } > $@

# Headers are few and small: any change rebuilds all.
$(OBJS): $(sort $(wildcard src/*.h src/*/*.h))
