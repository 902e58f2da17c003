#!/bin/sh
# Linux's first process: brings Linux to where SynOS starts a script, and runs the driver with its output on the second serial line.
# What is mounted, the limits and the environment are those of SynOS's script session (servers/posix/src/script.rs).
mount -t proc proc /proc
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
ln -s fd/1 /dev/stdout
ln -s fd/2 /dev/stderr
hostname -F /etc/hostname
umask 022
ulimit -c 0
ulimit -u 200
ulimit -n 1024
stty -F /dev/ttyS1 raw
cd /
setsid env -i PATH=/bin:/sbin:/usr/bin HOME=/root sh /run/script </dev/null >/dev/ttyS1
# Changing the line waits until everything has gone out.
stty -F /dev/ttyS1 sane
poweroff -f
