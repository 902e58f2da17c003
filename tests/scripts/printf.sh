# printf and echo.
printf '%s %d %i\n' text 42 -7
printf '%5s|%-5s|%05d|%+d\n' ab cd 42 7
printf '%x %X %o %#x\n' 255 255 8 255
printf '%.3f %8.2f %e\n' 3.14159 2.5 12345.678
printf '%s\n' one two three
printf '%s=%d\n' a 1 b 2
printf '%c%c\n' hello world
printf '%%|\t|\\|\101|\x41\n'
printf '%b\n' 'tab\there'
printf '%s'; printf '\n'
printf '%d\n' "'A"
printf '%d\n' nonsense 2>/dev/null; echo "status $?"
printf '%*d\n' 6 42
printf '%.2s\n' abcdef
echo -n no newline; echo
echo -e 'a\tb\nc'; echo 'a\tb'
echo "$(printf 'x\ny\n')"
printf '%s\n' "*" '$HOME' "it's"
