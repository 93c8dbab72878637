#!/bin/sh
# Take away what `make install` put there, and leave what operators wrote and what the bridge recorded: run by
# `make uninstall`, with the same PREFIX and DESTDIR.
set -eu

PREFIX=${PREFIX:-/opt/mlflow-bridge}
DESTDIR=${DESTDIR:-}
UNITS=$DESTDIR/usr/local/lib/systemd/system
COMMAND=$DESTDIR/usr/local/bin/mlflow-bridge

if [ -z "$DESTDIR" ] && [ "$(id -u)" != 0 ]; then
	echo "make uninstall: needs root: sudo make uninstall" >&2
	exit 1
fi
if [ ! -d "$DESTDIR$PREFIX/releases" ]; then
	echo "make uninstall: there is no installation by make install in $DESTDIR$PREFIX (another one: PREFIX=...)" >&2
	exit 1
fi

if [ -z "$DESTDIR" ] && [ -d /run/systemd/system ]; then
	for unit in mlflow-bridge-once.timer mlflow-bridge-once.service mlflow-bridge.service; do
		[ ! -e "$UNITS/$unit" ] || systemctl --quiet disable --now "$unit" 2>/dev/null || systemctl stop "$unit"
	done
	systemctl stop 'mlflow-bridge@*.service'
fi
rm -f "$UNITS/mlflow-bridge.service" "$UNITS/mlflow-bridge@.service" "$UNITS/mlflow-bridge-once.service" "$UNITS/mlflow-bridge-once.timer"
[ ! -L "$COMMAND" ] || [ "$(readlink "$COMMAND")" != "$PREFIX/bin/mlflow-bridge" ] || rm "$COMMAND"
rm -rf "$DESTDIR$PREFIX/releases" "$DESTDIR$PREFIX/current" "$DESTDIR$PREFIX/bin"
rmdir "$DESTDIR$PREFIX" 2>/dev/null || true
[ -n "$DESTDIR" ] || [ ! -d /run/systemd/system ] || systemctl daemon-reload

echo "Removed. What is left is yours: $DESTDIR/etc/mlflow-bridge (configuration, secrets), and the state,"
echo "$DESTDIR/var/lib/mlflow-bridge (below /var/lib/private, with systemd): what was not delivered yet is in it."
