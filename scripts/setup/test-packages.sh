#!/bin/sh
# Installs what the tests drive besides Python: MariaDB, a browser, a Kerberos KDC
# and what builds Python's Kerberos bindings. Without root or apt it changes
# nothing, and the tests that need them are skipped by name.
set -eu
missing=""
[ -x /usr/sbin/mariadbd ] || command -v mariadbd >/dev/null 2>&1 || missing="$missing mariadb-server"
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
command -v chromedriver >/dev/null 2>&1 || missing="$missing chromium-driver"
[ -x /usr/sbin/krb5kdc ] || missing="$missing krb5-kdc krb5-admin-server"
command -v kinit >/dev/null 2>&1 || missing="$missing krb5-user"
command -v krb5-config >/dev/null 2>&1 || missing="$missing libkrb5-dev"
command -v cc >/dev/null 2>&1 || missing="$missing gcc libc6-dev"
"${1:-python3}" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' ||
    missing="$missing python3-dev"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "not installed, tests that need them are skipped:$missing"
    exit 0
fi
echo "installing Debian packages:$missing"
apt-get update -qq
# A package's own service is of no use here: the tests start private servers.
policy=/usr/sbin/policy-rc.d
made=""
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod +x "$policy"
    made=yes
fi
status=0
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing || status=$?
[ -z "$made" ] || rm -f "$policy"
exit $status
