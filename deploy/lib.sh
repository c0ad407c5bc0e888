# Shared by deploy/quickstart, deploy/test and deploy/package: which Debian packages are needed, and how they get here.
# Source it with the repository's root as the working directory.

build_packages=(
  g++ cmake ninja-build ccache mold pkg-config git ca-certificates
  libboost1.81-dev libboost-json1.81-dev libboost-url1.81-dev
  librocksdb-dev libgrpc++-dev libprotobuf-dev protobuf-compiler protobuf-compiler-grpc libprotozero-dev
  libsnappy-dev zlib1g-dev libzstd-dev libre2-dev libroaring-dev libxxhash-dev libsimdjson-dev
  libyaml-cpp-dev libfmt-dev libspdlog-dev libcli11-dev libssl-dev libsystemd-dev
  catch2 python3
)

say() { printf '\n== %s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# install_packages NAME...: only what is missing; apt's lists are refreshed only when something is.
install_packages() {
  local missing=() p
  for p in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null || true)" = installed ] || missing+=("$p")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing ${missing[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# build PRESET TARGET...
build() {
  local preset=$1
  shift
  say "building $preset ($*)"
  mkdir -p build
  cmake --preset "$preset" >"build/$preset.configure.log" 2>&1 || { cat "build/$preset.configure.log" >&2; die "configuring $preset failed"; }
  ninja -C "build/$preset" "$@"
}

# wait_ready URL PID LOG: until the daemon answers, it dies, or 60 s have passed.
wait_ready() {
  local i
  for i in $(seq 300); do
    build/release/plumbline query 1 --url "$1" >/dev/null 2>&1 && return 0
    kill -0 "$2" 2>/dev/null || { cat "$3" >&2; die "the daemon did not start; its log is above"; }
    sleep 0.2
  done
  cat "$3" >&2
  die "the daemon was not ready within 60 s; its log is above"
}
