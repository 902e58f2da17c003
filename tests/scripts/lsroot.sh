# ls -laR /: all of the tree is walked, and what both systems have in it is the same. The root itself has more in it on the one than on the other.
ls -laR / >/tmp/all 2>/tmp/errors
for folder in / /bin /etc /home/user /root /usr/bin /dev /dev/pts /proc /proc/$$ /proc/$$/fd; do
    grep -qxF "$folder:" /tmp/all && echo "$folder" | sed "s/$$/PID/"
done
# Processes come and go while it looks.
grep -v '/proc/' /tmp/errors
echo "-- files"
ls -laR /etc /home /root /bin /sbin /var | grep -v ' \.\.$'
# Our own programs are of another size at each change.
ls -la /usr | grep -v ' \.\.$'
ls -la /usr/bin | grep -vE '^total| \.\.$| (llm|rusttest|svc)$'; ls /usr/bin | grep -E '^(llm|rusttest|svc)$'
echo "-- devices"
cd /dev && ls -la null zero full random urandom tty console ptmx pts/ptmx
ls -ld pts fd
ls /dev/pts
stat -c '%F %t:%T %a' /dev/ptmx /dev/pts/ptmx /dev/tty
grep devpts /proc/mounts /proc/filesystems
stat -f -c '%n %t %l %s' /proc /proc/self/stat /dev/pts /dev/pts/ptmx
