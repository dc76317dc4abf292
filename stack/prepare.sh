#!/usr/bin/env bash
# Makes .local/venv and .local/jars ready for every other target. Quick when nothing has changed:
# each step leaves a stamp named after a hash of what it was made from.
#
# Interrupted? Run it again: packages are installed in small groups and jars come through Maven's
# own repository, so what is there already is not fetched again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PYTHON=${PYTHON:-python3.11}
PIP_VERSION=26.3
MAVEN_DEPENDENCY_PLUGIN=3.8.1
GROUP_SIZE=8

local_dir=$PWD/.local
venv=$local_dir/venv
stamps=$local_dir/stamps
log=$local_dir/prepare.log

# stamp NAME FILE WORDS...: where the stamp of a step lies that was made from these.
stamp() {
  local name=$1 file=$2
  shift 2
  printf '%s/%s-%s' "$stamps" "$name" "$( (echo "$@"; cat "$file") | sha256sum | cut -c1-16)"
}
# A virtual environment cannot be moved, so its place is part of what it was made from.
venv_stamp=$(stamp venv requirements.lock "$venv" "$PIP_VERSION")
project_stamp=$(stamp project pyproject.toml "$venv_stamp")
kafka_stamp=$(stamp kafka stack/jars/kafka/pom.xml)
connector_stamp=$(stamp connector stack/jars/connector/pom.xml)

done_all() {
  [[ -e $venv_stamp && -e $project_stamp && -e $kafka_stamp && -e $connector_stamp ]]
}
done_all && exit 0

mkdir -p "$stamps"
exec 9>"$local_dir/.prepare.lock"
if ! flock -n 9; then
  echo "waiting for another 'make' that prepares .local/ ..."
  flock 9
fi

say() { printf '[%s] %s\n' "$(date +%H:%M:%S)" "$*"; }

fail() { printf '\nmillrace: %s\n' "$*" >&2; exit 1; }

check_tools() {
  local faults=()
  if ! command -v "$PYTHON" >/dev/null ||
    [[ $("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) != 3.11 ]]; then
    faults+=("Python 3.11 is needed, '$PYTHON' is not it: install it, or name it: make PYTHON=/path/to/python3.11")
  fi
  local java=${JAVA_HOME:+$JAVA_HOME/bin/}java
  if ! command -v "$java" >/dev/null || [[ $("$java" -version 2>&1) != *'version "17'* ]]; then
    faults+=("Java 17 is needed, '$java' is not it: install it, or point JAVA_HOME at it")
  fi
  command -v mvn >/dev/null || faults+=("Maven is needed: install it so that 'mvn' is on the path")
  if ((${#faults[@]})); then
    printf 'millrace: %s\n' "${faults[@]}" >&2
    exit 1
  fi
}

# Runs a command with its output in the log; on failure shows the end of it.
logged() {
  if ! "$@" >>"$log" 2>&1; then
    tail -n 20 "$log" >&2
    fail "this failed: $*
Its whole output is in $log. Run the same make again to go on from here."
  fi
}

prepare_venv() {
  [[ -e $venv_stamp ]] && return
  rm -f "$stamps"/venv-*
  if [[ ! -x $venv/bin/python ]] || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    say "Python environment in .local/venv"
    logged "$PYTHON" -m venv --clear "$venv"
  fi
  local pip=("$venv/bin/python" -m pip --disable-pip-version-check)
  logged "${pip[@]}" install "pip==$PIP_VERSION"
  local packages group
  mapfile -t packages < <(grep -v '^#' requirements.lock)
  local count=${#packages[@]}
  for ((i = 0; i < count; i += GROUP_SIZE)); do
    group=("${packages[@]:i:GROUP_SIZE}")
    say "Python packages $((i + 1))-$((i + ${#group[@]})) of $count: ${group[*]%%==*}"
    logged "${pip[@]}" install --no-deps --no-build-isolation "${group[@]}"
  done
  logged "${pip[@]}" check
  touch "$venv_stamp"
}

prepare_project() {
  [[ -e $project_stamp ]] && return
  rm -f "$stamps"/project-*
  say "the millrace command in .local/venv/bin"
  logged "$venv/bin/python" -m pip --disable-pip-version-check \
    install --no-deps --no-build-isolation --editable .
  touch "$project_stamp"
}

prepare_jars() {  # name, stamp
  local name=$1 stamp=$2 target=$local_dir/jars/$1
  [[ -e $stamp ]] && return
  rm -f "$stamps/$name"-*
  say "jars of $name in .local/jars/$name"
  rm -rf "$target.new"
  logged mvn -B -ntp -f "stack/jars/$name/pom.xml" \
    "org.apache.maven.plugins:maven-dependency-plugin:$MAVEN_DEPENDENCY_PLUGIN:copy-dependencies" \
    "-DoutputDirectory=$target.new" -DincludeScope=runtime
  rm -rf "$target"
  mv "$target.new" "$target"
  touch "$stamp"
}

done_all && exit 0
check_tools
: >"$log"
say "preparing .local/ (once; 1 GB to fetch, 3.3 GB on disk, mostly TensorFlow and Flink)"
prepare_venv
prepare_project
prepare_jars kafka "$kafka_stamp"
prepare_jars connector "$connector_stamp"
say "ready"
