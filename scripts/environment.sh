# Sourced by the scripts beside it: where the repository is, and how the compiler cache is used.
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Paths below base_dir count as relative, so that another clone finds what this one compiled.
export CCACHE_BASEDIR="$repository"
export CCACHE_NOHASHDIR=1
export CCACHE_SLOPPINESS="${CCACHE_SLOPPINESS:-pch_defines,time_macros}"
export CTEST_PARALLEL_LEVEL="${CTEST_PARALLEL_LEVEL:-$(nproc)}"
# Sanitizer builds: a leak or race fails the run; RocksDB and gRPC of the distribution are not
# instrumented, so what only they do is not looked at.
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_stack_use_after_return=1:strict_string_checks=1}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"
export TSAN_OPTIONS="${TSAN_OPTIONS:-halt_on_error=1:second_deadlock_stack=1}"

say() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }
fail() { say "$*"; exit 1; }

# configure PRESET [DIRECTORY [CMAKE-ARGUMENT...]]: writes the build files where they are missing; Ninja keeps them fresh.
configure() {
  local preset="$1" directory="${2:-build/$1}"
  shift "$(($# < 2 ? $# : 2))"
  if [ ! -f "$repository/$directory/build.ninja" ]; then
    say "configuring $directory"
    (cd "$repository" && cmake --preset "$preset" -B "$directory" "$@" > "/tmp/forebay-configure.$$" 2>&1) ||
      { cat "/tmp/forebay-configure.$$" >&2; rm -f "/tmp/forebay-configure.$$"
        fail "cmake failed (above). Is everything installed? scripts/setup"; }
    rm -f "/tmp/forebay-configure.$$"
  fi
}

# build PRESET-OR-DIRECTORY TARGET...
build() {
  local directory="$repository/build/$1"
  shift
  cmake --build "$directory" -j "$(nproc)" --target "$@" >&2
}
