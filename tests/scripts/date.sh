# date: formats of a fixed time, and the clock.
here=$(mktemp -d) && cd "$here" || exit 1
trap 'cd /; rm -rf "$here"' EXIT
export TZ=UTC0
date -d @0
date -d @1234567890 '+%Y-%m-%d %H:%M:%S %a %j %s'
date -d '2026-02-28 23:59:59' +%s
date -u -d '2024-02-29 12:00' '+%A %d %B %Y'
date -d @951782400 +%F
TZ=CET-1CEST,M3.5.0,M10.5.0/3 date -d @1750000000 '+%H:%M %Z'
date -R -d @0
date -I -d @86400
touch -d @1000000000 file && date -r file +%s
year=$(date +%Y); [ "$year" -ge 2024 ] && [ "$year" -le 2100 ] && echo "the clock runs"
date -d nonsense >/dev/null 2>&1; echo "status $?"
cal 2 2024
