#!/bin/sh
# Debian's packages that the tests use: a C compiler for the fake driver; Prometheus, Alertmanager and VictoriaMetrics with
# their tools; Chromium and Node, which draw dashboards; curl, which asks the server; and Python's venv module. Installs what is missing
# when run as root on a Debian or Ubuntu machine; otherwise says what is missing and goes on, for the tests that need it say so
# themselves. With --venv-only, only what a virtual environment needs.
set -eu

missing=""
need() { missing="$missing $1"; }

python3 -c 'import ensurepip, venv' 2>/dev/null || need python3-venv
if [ "${1:-}" != "--venv-only" ]; then
    command -v cc >/dev/null 2>&1 || need gcc
    [ -e /usr/include/stdio.h ] || need libc6-dev
    command -v promtool >/dev/null 2>&1 || need prometheus
    command -v amtool >/dev/null 2>&1 || need prometheus-alertmanager
    command -v victoria-metrics >/dev/null 2>&1 || need victoria-metrics
    command -v curl >/dev/null 2>&1 || need curl
    command -v chromium >/dev/null 2>&1 || need chromium
    command -v node >/dev/null 2>&1 || need nodejs
    command -v npm >/dev/null 2>&1 || need npm
fi
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "not installed here:$missing (as root: apt-get install$missing)" >&2
    exit 0
fi

# Installing must not start a service: dpkg asks this file whether it may (invoke-rc.d's policy).
policy=/usr/sbin/policy-rc.d
made=""
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod +x "$policy"
    made=yes
fi
trap '[ -z "$made" ] || rm -f "$policy"' EXIT

apt-get update -qq
# shellcheck disable=SC2086  # a list of words
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
