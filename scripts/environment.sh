# The environment of this checkout: <repo>/.venv, installed from one of the two locks.
#
# Sourced by the programs beside it, which need nothing but bash, git and Python 3.11 or newer with pip.
#
#   ensure_environment runtime   what the program needs (requirements.lock)
#   ensure_environment test      that and what the checks need (requirements-test.lock, a superset)
#
# A stamp, written last, says what was installed. Where it is missing (an install was cut short) or was written for
# another place or Python, the environment is made anew; where only a lock changed, pip brings it up to date.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
VENV=$ROOT/.venv
STAMP=$VENV/passavant.stamp
unset PYTHONHOME PYTHONPATH # neither may add to what the lock names
unset PYTHONDONTWRITEBYTECODE # or each of hundreds of processes compiles the whole program

ensure_environment() {
    local level=$1 python
    if _ready "$level"; then
        return
    fi
    python=$(_find_python)
    # One installer at a time. The lock belongs to descriptor 9 and outlives the Python that takes it.
    exec 9>"$ROOT/.venv.lock"
    "$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)'
    _ready "$level" || _install "$level" "$python"
    exec 9>&-
}

# The stamp's three lines: where and for which Python; the locks and the project file; what is installed.

_ready() {
    local level=$1 place inputs content
    _same_place || return 1
    { read -r place && read -r inputs && read -r content; } <"$STAMP" || return 1
    [[ $inputs == "$(_inputs test)" || $inputs == "$(_inputs "$level")" ]] && [[ $content == "$(_content)" ]]
}

_same_place() {
    local place
    [[ -f $STAMP ]] && read -r place <"$STAMP" && [[ $place == "$(_place)" ]]
}

_place() {
    "$VENV/bin/python" -c 'import sys; print(*sys.argv[1:], sys.version_info[:3])' "$VENV" 2>/dev/null
}

_inputs() {
    printf '%s %s' "$1" "$(cd "$ROOT" && cat requirements.lock requirements-test.lock pyproject.toml |
        git hash-object --stdin)"
}

_content() {
    printf '%s\n' "$VENV"/lib/python3*/site-packages/*.dist-info | git hash-object --stdin
}

_install() {
    local level=$1 python=$2 lock=$ROOT/requirements.lock
    [[ $level == runtime ]] || lock=$ROOT/requirements-test.lock
    echo "passavant: installing ${lock##*/} into .venv (about half a minute)" >&2
    if ! _same_place; then
        _make_anew "$python"
    fi
    rm -f "$STAMP"
    # Only wheels: a source distribution would download an unpinned build back end.
    _pip "$python" install --require-hashes --only-binary :all: -r "$lock"
    _pip "$python" install --no-build-isolation --no-deps -e "$ROOT"
    printf '%s\n' "$(_place)" "$(_inputs "$level")" "$(_content)" >"$STAMP.new"
    mv "$STAMP.new" "$STAMP"
}

_make_anew() {
    local python=$1
    if "$python" -c 'import ensurepip' 2>/dev/null; then
        "$python" -m venv --clear "$VENV"
    else # as packaged by Debian: pip from outside works on the environment
        "$python" -m venv --clear --without-pip "$VENV"
    fi
}

_pip() {
    local python=$1 quiet=(-qq --disable-pip-version-check --no-input)
    shift
    if "$VENV/bin/python" -c 'import pip' 2>/dev/null; then
        "$VENV/bin/python" -m pip "${quiet[@]}" "$@"
    else
        "$python" -m pip --python "$VENV/bin/python" "${quiet[@]}" "$@"
    fi
}

_find_python() {
    local name
    for name in python3.14 python3.13 python3.12 python3.11 python3; do
        # Runs it: a name on the path may be a shim of a version that is not there.
        if "$name" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    echo "passavant: needs Python 3.11 or newer with its venv module; found none of python3.14 ... python3.11, python3" >&2
    return 1
}
