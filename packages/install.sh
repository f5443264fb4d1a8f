#!/bin/sh
# Installs the files of this folder as a service, as root; run it again to upgrade. The environment variable DESTDIR
# names another root. `./install.sh remove` takes away what it installed, and leaves the configuration and the mail.
set -eu
cd "$(dirname "$0")"
root=${DESTDIR:-}

uses_apparmor() { command -v aa-enabled >/dev/null && aa-enabled --quiet 2>/dev/null; }

if [ "${1:-}" = remove ]; then
    if [ -z "$root" ] && [ -d /run/systemd/system ]; then
        systemctl disable --now graph-relay.service graph-relay-smtp.socket graph-relay-submission.socket \
            graph-relay-submissions.socket || true
    fi
    if [ -z "$root" ] && [ -e /etc/apparmor.d/graph-relay ] && uses_apparmor; then
        apparmor_parser --remove /etc/apparmor.d/graph-relay || true
    fi
    rm -f "$root"/usr/bin/graph-relay "$root"/usr/lib/systemd/system/graph-relay.service \
        "$root"/usr/lib/systemd/system/graph-relay-*.socket "$root"/usr/lib/sysusers.d/graph-relay.conf \
        "$root"/usr/share/man/man1/graph-relay*.1.gz "$root"/usr/share/man/man5/relay.toml.5.gz \
        "$root"/usr/share/bash-completion/completions/graph-relay \
        "$root"/usr/local/share/zsh/site-functions/_graph-relay \
        "$root"/usr/share/fish/vendor_completions.d/graph-relay.fish "$root"/etc/apparmor.d/graph-relay
    rm -rf "$root"/usr/share/doc/graph-relay
    if [ -z "$root" ] && [ -d /run/systemd/system ]; then
        systemctl daemon-reload
    fi
    echo "Removed. The configuration is still in $root/etc/graph-relay, and mail that waits in $root/var/lib/graph-relay."
    exit 0
fi

# A file that is in use cannot be written, but it can be replaced.
install -D -m 755 graph-relay "$root/usr/bin/.graph-relay.new"
mv "$root/usr/bin/.graph-relay.new" "$root/usr/bin/graph-relay"
for unit in systemd/*.service systemd/*.socket; do
    install -D -m 644 "$unit" "$root/usr/lib/systemd/system/${unit#systemd/}"
done
install -D -m 644 systemd/sysusers.d/graph-relay.conf "$root/usr/lib/sysusers.d/graph-relay.conf"
if [ -d "$root/etc/apparmor.d" ]; then
    install -m 644 apparmor/graph-relay "$root/etc/apparmor.d/graph-relay"
    # Rules of the administrator's own, which it includes.
    [ -e "$root/etc/apparmor.d/local/graph-relay" ] ||
        install -D -m 644 /dev/null "$root/etc/apparmor.d/local/graph-relay"
    if [ -z "$root" ] && uses_apparmor; then
        apparmor_parser --replace /etc/apparmor.d/graph-relay
    fi
fi
for page in man/*/*; do
    install -D -m 644 "$page" "$root/usr/share/$page"
done
install -D -m 644 completions/graph-relay "$root/usr/share/bash-completion/completions/graph-relay"
# The zsh of Debian and Ubuntu does not search /usr/share/zsh/site-functions.
install -D -m 644 completions/_graph-relay "$root/usr/local/share/zsh/site-functions/_graph-relay"
install -D -m 644 completions/graph-relay.fish "$root/usr/share/fish/vendor_completions.d/graph-relay.fish"
for document in README.md CHANGELOG.md LICENSE-APACHE LICENSE-MIT doc/relay.toml doc/relay.schema.json; do
    install -D -m 644 "$document" "$root/usr/share/doc/graph-relay/${document#doc/}"
done
if [ -z "$root" ]; then
    if command -v systemd-sysusers >/dev/null; then
        systemd-sysusers graph-relay.conf
    elif ! getent passwd graph-relay >/dev/null; then
        useradd --system --user-group --home-dir /var/lib/graph-relay --no-create-home --shell /sbin/nologin graph-relay
    fi
fi
if [ ! -e "$root/etc/graph-relay/relay.toml" ]; then
    install -d -m 750 "$root/etc/graph-relay"
    install -m 640 relay.toml "$root/etc/graph-relay/relay.toml"
    if [ -z "$root" ]; then
        chown root:graph-relay /etc/graph-relay /etc/graph-relay/relay.toml
    fi
    echo "Next: sudo graph-relay setup && sudo systemctl enable --now graph-relay"
    echo "Its admin page, once it runs: sudo graph-relay page"
elif [ -z "$root" ] && [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl try-restart graph-relay.service
    echo "Upgraded. If the service ran, it runs the new version now: sudo graph-relay status"
fi
