#!/bin/sh
# Install mlflow-bridge, or upgrade it: run by `make install`. docs/running/systemd.md tells what goes where.
#
#   PREFIX=/opt/mlflow-bridge   where the program goes
#   DESTDIR=                    a folder to stage all of it in, for packages: nothing on this machine is touched
#   SYSTEMD=yes                 no: the program and its configuration alone, for cron
#   PYTHON=                     the Python to use (3.11 or later), where the one that is found is not the one
set -eu
umask 022 # the service is not root, and has to read what root installs

PREFIX=${PREFIX:-/opt/mlflow-bridge}
DESTDIR=${DESTDIR:-}
SYSTEMD=${SYSTEMD:-yes}
PYTHON=${PYTHON:-}
ETC=$DESTDIR/etc/mlflow-bridge
UNITS=$DESTDIR/usr/local/lib/systemd/system
COMMAND=$DESTDIR/usr/local/bin/mlflow-bridge
source=$(cd "$(dirname "$0")/.." && pwd)

refuse() {
	echo "make install: $1" >&2
	exit 1
}

can_install() {
	case $PREFIX in
	/*[!a-zA-Z0-9._/-]* | [!/]* | /) refuse "PREFIX=$PREFIX is no path such as /opt/mlflow-bridge" ;;
	esac
	[ -z "$DESTDIR" ] || return 0
	[ "$(id -u)" = 0 ] ||
		refuse "needs root, for $PREFIX, /etc/mlflow-bridge and the units: sudo make install"
	[ "$SYSTEMD" = no ] || [ -d /run/systemd/system ] ||
		refuse "this machine is not run by systemd: make install SYSTEMD=no leaves the units out (docs/running/cron.md)"
}

has_room() {
	if [ -e "$DESTDIR$PREFIX" ] && [ ! -d "$DESTDIR$PREFIX/releases" ] && [ -n "$(ls -A "$DESTDIR$PREFIX")" ]; then
		refuse "$DESTDIR$PREFIX holds something that was not installed by make install: move it away first"
	fi
}

is_usable() {
	"$1" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && is_in_reach "$1"
}

# The service sees no home folders (ProtectHome=yes), and no /tmp but its own.
is_in_reach() {
	case $("$1" -c 'import os, sys; print(os.path.realpath(sys.base_prefix))') in
	/root/* | /home/* | /tmp/* | /run/user/*) return 1 ;;
	esac
}

choose_python() {
	for python in ${PYTHON:-/usr/bin/python3 /usr/local/bin/python3 python3 python3.13 python3.12 python3.11}; do
		if is_usable "$python"; then
			return
		fi
	done
	refuse "needs a Python 3.11 or later with its venv module (Debian, Ubuntu: apt install python3-venv), outside of \
/root, /home and /tmp, where the service can read it: install one, or name it: make install PYTHON=/path/to/python"
}

install_program() {
	version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' "$source/bridge/__init__.py")
	name=$version-$(date -u +%Y%m%dT%H%M%SZ)-$$
	release=$DESTDIR$PREFIX/releases/$name
	trap 'rm -rf "$release"' EXIT
	trap 'exit 1' INT TERM HUP
	echo "Installing mlflow-bridge $version into $release (a minute or two) ..."
	mkdir -p "$DESTDIR$PREFIX/releases"
	"$python" -m venv "$release"
	pip_install --require-hashes -r "$source/deploy/requirements.txt"
	pip_install --no-build-isolation "$source"
	"$release/bin/python" -m compileall -q "$release/lib"
	[ -z "$DESTDIR" ] || sed -i "1s|^#!$DESTDIR|#!|" "$release/bin/mlflow-bridge"
	(cd / && "$release/bin/python" -m bridge --version) >/dev/null
	switch_over
	trap - EXIT
}

pip_install() {
	"$release/bin/python" -m pip --disable-pip-version-check --quiet install --no-deps "$@"
}

# One rename: whoever starts the command finds the old program or the new one, and never half of one.
switch_over() {
	before=$(readlink "$DESTDIR$PREFIX/current" || true)
	ln -sfn "releases/$name" "$DESTDIR$PREFIX/current.new"
	mv -T "$DESTDIR$PREFIX/current.new" "$DESTDIR$PREFIX/current"
	ln -sfn current/bin "$DESTDIR$PREFIX/bin"
	for old in "$DESTDIR$PREFIX"/releases/*; do
		case $old in
		"$release" | "$DESTDIR$PREFIX/$before") ;; # the one before is there to go back to
		*) is_running "$old" || rm -rf "$old" ;;
		esac
	done
}

is_running() {
	grep -qsF "$1/" /proc/[0-9]*/cmdline
}

install_command() {
	mkdir -p "$(dirname "$COMMAND")"
	if [ -e "$COMMAND" ] && [ ! -L "$COMMAND" ]; then
		echo "$COMMAND is somebody else's, and left alone: the command is $PREFIX/bin/mlflow-bridge"
	else
		ln -sfn "$PREFIX/bin/mlflow-bridge" "$COMMAND"
	fi
}

# What an operator wrote is never touched.
install_configuration() {
	install -d -m 755 "$ETC"
	install -d -m 700 "$ETC/secrets"
	install -m 644 "$source/config.example.toml" "$ETC/config.example.toml"
	[ -e "$ETC/config.toml" ] || install -m 644 "$source/systemd/config.toml" "$ETC/config.toml"
	[ -e "$ETC/environment" ] || install -m 600 "$source/systemd/environment.example" "$ETC/environment"
}

install_units() {
	mkdir -p "$UNITS"
	for unit in mlflow-bridge.service mlflow-bridge@.service mlflow-bridge-once.service mlflow-bridge-once.timer; do
		sed "s|/opt/mlflow-bridge/|$PREFIX/|g" "$source/systemd/$unit" >"$UNITS/$unit.new"
		mv "$UNITS/$unit.new" "$UNITS/$unit"
		[ ! -e "$DESTDIR/etc/systemd/system/$unit" ] ||
			echo "/etc/systemd/system/$unit takes precedence over the unit just installed: make it a drop-in (systemctl edit)"
	done
	[ -n "$DESTDIR" ] || systemctl daemon-reload
}

say_what_next() {
	[ -z "$DESTDIR" ] || return 0
	"$PREFIX/bin/mlflow-bridge" check --config /etc/mlflow-bridge/config.toml >/dev/null ||
		echo "This version refuses the configuration as it is: mend it before the next start"
	if [ "$SYSTEMD" != no ] && systemctl --quiet is-active mlflow-bridge.service; then
		echo "Installed. The running service is still the one before: systemctl restart mlflow-bridge"
	elif [ "$SYSTEMD" != no ]; then
		echo "Installed. Next: mlflow-bridge init --systemd, which says how to go on; or edit /etc/mlflow-bridge/config.toml (docs/running/systemd.md)"
	else
		echo "Installed. Next: edit /etc/mlflow-bridge/config.toml; mlflow-bridge check --connect; docs/running/cron.md has the crontab"
	fi
}

can_install
has_room
choose_python
install_program
install_command
install_configuration
[ "$SYSTEMD" = no ] || install_units
say_what_next
