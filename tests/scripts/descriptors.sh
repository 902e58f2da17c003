# Descriptors beyond 255, the soft limit, and what is told of both.
ulimit -S -n
exec 300</dev/null 2>/tmp/e; cat /tmp/e
(echo LOST >&255) 2>/tmp/e; cat /tmp/e
(echo LOST >&1023) 2>/tmp/e; cat /tmp/e
ls /proc/self/fd | wc -l
