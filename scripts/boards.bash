# Sourced by the scripts that drive virtual boards with stock tools: builds what they need, serves boards, asserts.

target=${CARGO_TARGET_DIR:-$PWD/target}
rootstamp=$target/debug/rootstamp
probe_rs=$target/tools/bin/probe-rs
probe_rs_version=0.32.0

scratch=$(mktemp -d)
served=()
clear_up() {
    local pid
    # Their sockets stay until they are gone: a server wakes up by calling itself.
    for pid in "${served[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${served[@]}"; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$scratch"
}
trap clear_up EXIT

die() {
    printf 'FAILED: %s\n' "$1" >&2
    [[ -z ${2-} ]] || sed 's/^/    /' "$2" >&2
    exit 1
}

# The stock command line of probe-rs, of exactly the version of the library in Cargo.toml.
install_probe_rs() {
    local begun=$SECONDS log=$scratch/install.log
    if [[ $("$probe_rs" --version 2>/dev/null) == "probe-rs $probe_rs_version"* ]]; then return; fi
    echo "building probe-rs-tools $probe_rs_version (some minutes, once)"
    CARGO_TARGET_DIR=$target/tools-build cargo install probe-rs-tools --version "$probe_rs_version" \
        --locked --debug --root "$target/tools" >"$log" 2>&1 || { tail -n 20 "$log" >"$log.end"; die "probe-rs-tools does not build" "$log.end"; }
    rm -rf "$target/tools-build"
    echo "built in $((SECONDS - begun)) s"
}

build_rootstamp() {
    cargo build --locked --quiet
}

# serve NAME ARGUMENT...: a fresh virtual nRF52840 in $scratch/NAME; sets $board to the selector that stock tools know
# it by, and $console to its serial line.
serve() {
    local dir=$scratch/$1 log=$scratch/$1.log wait
    shift
    : >"$log"
    "$rootstamp" boards --chip nRF52840 --sites 1 --insert --json --dir "$dir" "$@" >"$log" 2>&1 &
    served+=($!)
    for ((wait = 0; wait < 100; wait++)); do
        board=$(sed -n 's/.*"probe":"\([^"]*\)".*/\1/p' "$log")
        console=$(sed -n 's/.*"uart":"\([^"]*\)".*/\1/p' "$log")
        if [[ -n $board ]]; then return; fi
        kill -0 "${served[-1]}" 2>/dev/null || die "rootstamp boards $* ended" "$log"
        sleep 0.1
    done
    die "rootstamp boards $* said nothing in ten seconds" "$log"
}

# The chip is named: the stock tool's list of variants to detect by itself ends before hardened silicon.
named=(--chip nRF52840_xxAA)

# stock SUBCOMMAND ARGUMENT...: the stock tool on $board, without a way to wait for ever.
stock() {
    local command=$1
    shift
    RUST_LOG=error timeout 120 "$probe_rs" "$command" --non-interactive --protocol swd --probe "$board" "$@"
}

# does SENTENCE COMMAND...: the command succeeds, and so does every command of it where it is a function; its output is
# in $scratch/said. Never called in a condition or before `||`: bash would then let a function go on after what failed.
does() {
    local sentence=$1 code
    shift
    set +e
    (set -e; "$@") >"$scratch/said" 2>&1
    code=$?
    set -e
    ((code == 0)) || die "$sentence (exit $code): $*" "$scratch/said"
    printf '  ok  %s\n' "$sentence"
}

# refused SENTENCE PATTERN COMMAND...: the command fails by itself, and says why.
refused() {
    local sentence=$1 pattern=$2 code=0
    shift 2
    "$@" >"$scratch/said" 2>&1 || code=$?
    ((code != 0)) || die "$sentence: it was not refused: $*" "$scratch/said"
    ((code != 124)) || die "$sentence: no answer in two minutes: $*" "$scratch/said"
    grep -Eqi "$pattern" "$scratch/said" || die "$sentence: refused, but not because of '$pattern': $*" "$scratch/said"
    printf '  ok  %s\n' "$sentence"
}

said() {
    grep -Eqi "$2" "$scratch/said" || die "$1: '$2' was not said" "$scratch/said"
    printf '  ok  %s\n' "$1"
}
