# ls -laR /: all of the tree is walked, and what both systems have in it is the same. Folders' sizes and link counts are the file system's own, and so is the root's mode.
ls -laR / >/tmp/all 2>/tmp/errors
for folder in / /bin /etc /home/user /root /usr/bin /dev /dev/pts /proc /proc/$$ /proc/$$/fd; do
    grep -qxF "$folder:" /tmp/all && echo "$folder" | sed "s/$$/PID/"
done
# Processes come and go while it looks.
grep -v '/proc/' /tmp/errors
echo "-- files"
ls -laR /etc /home /root | awk '$9 == ".." { next } /^-/ { print $1, $2, $3, $4, $5, $9; next } /^l/ { print $1, $3, $4, $9, $10, $11; next } /^d/ { print $1, $3, $4, $9; next } /:$/'
echo "-- devices"
cd /dev && ls -la null zero full random urandom tty console ptmx pts/ptmx | awk '{ print $1, $3, $4, $5, $6, $NF }'
ls -ld /dev/pts /dev/fd | awk '{ print $1, $9, $10, $11 }'
ls /dev/pts
stat -c '%F %t:%T %a' /dev/ptmx /dev/pts/ptmx /dev/tty
grep devpts /proc/mounts /proc/filesystems
stat -f -c '%n %t %l %s' /proc /proc/self/stat /dev/pts /dev/pts/ptmx
