//! A terminal's modes, with Linux's numbers: `include/uapi/asm-generic/termbits.h` as x86_64 uses it.

use serde::{Deserialize, Serialize};

/// Bytes of Linux's `struct termios` (the one of `TCGETS`).
pub const TERMIOS_BYTES: usize = 36;
/// Control characters in it.
pub const CONTROLS: usize = 19;

macro_rules! numbers {
    ($kind:ty: $($(#[$doc:meta])* $name:ident = $value:expr;)*) => { $($(#[$doc])* pub const $name: $kind = $value;)* };
}

// Input modes.
numbers! { u32:
    /// Input: no parity, stop and start bits; ignore breaks.
    IGNBRK = 0o1;
    /// Input: strip the eighth bit.
    ISTRIP = 0o40;
    /// Input: newline becomes carriage return.
    INLCR = 0o100;
    /// Input: ignore carriage return.
    IGNCR = 0o200;
    /// Input: carriage return becomes newline.
    ICRNL = 0o400;
    /// Input: upper case becomes lower case (with [`IEXTEN`]).
    IUCLC = 0o1000;
    /// Input: STOP and START characters control output.
    IXON = 0o2000;
    /// Input: any character starts output again.
    IXANY = 0o4000;
    /// Input: ring the bell when the queue is full.
    IMAXBEL = 0o20000;
    /// Input: erasing takes whole UTF-8 characters.
    IUTF8 = 0o40000;
}

// Output modes.
numbers! { u32:
    /// Output: the modes below apply.
    OPOST = 0o1;
    /// Output: lower case becomes upper case.
    OLCUC = 0o2;
    /// Output: newline is sent as carriage return, newline.
    ONLCR = 0o4;
    /// Output: carriage return is sent as newline.
    OCRNL = 0o10;
    /// Output: no carriage return in column 0.
    ONOCR = 0o20;
    /// Output: newline moves to column 0 too.
    ONLRET = 0o40;
    /// Output: how tabs are sent.
    TABDLY = 0o14000;
    /// Output: tabs are sent as spaces.
    XTABS = 0o14000;
}

// Control modes that a serial console starts with.
numbers! { u32:
    /// Control: 38400 baud.
    B38400 = 0o17;
    /// Control: eight bits.
    CS8 = 0o60;
    /// Control: receive.
    CREAD = 0o200;
    /// Control: hang up on last close.
    HUPCL = 0o2000;
}

// Local modes.
numbers! { u32:
    /// Local: INTR, QUIT and SUSP characters are recognised.
    ISIG = 0o1;
    /// Local: input comes in lines that can be edited.
    ICANON = 0o2;
    /// Local: echo input.
    ECHO = 0o10;
    /// Local: ERASE wipes the character from the screen.
    ECHOE = 0o20;
    /// Local: KILL starts a new line.
    ECHOK = 0o40;
    /// Local: echo newline without [`ECHO`] too.
    ECHONL = 0o100;
    /// Local: signal characters do not flush.
    NOFLSH = 0o200;
    /// Local: a background process group that writes is stopped.
    TOSTOP = 0o400;
    /// Local: control characters are echoed as `^X`.
    ECHOCTL = 0o1000;
    /// Local: ERASE prints what it erases between `\` and `/`.
    ECHOPRT = 0o2000;
    /// Local: KILL wipes the line from the screen.
    ECHOKE = 0o4000;
    /// Local: WERASE, LNEXT, REPRINT and EOL2 characters are recognised.
    IEXTEN = 0o100000;
}

// Indices of the control characters.
numbers! { usize:
    /// Sends SIGINT.
    VINTR = 0;
    /// Sends SIGQUIT.
    VQUIT = 1;
    /// Erases a character.
    VERASE = 2;
    /// Erases the line.
    VKILL = 3;
    /// Ends the input.
    VEOF = 4;
    /// Raw mode: tenths of a second to wait.
    VTIME = 5;
    /// Raw mode: bytes to wait for.
    VMIN = 6;
    /// Starts output.
    VSTART = 8;
    /// Stops output.
    VSTOP = 9;
    /// Sends SIGTSTP.
    VSUSP = 10;
    /// Ends a line.
    VEOL = 11;
    /// Prints the line again.
    VREPRINT = 12;
    /// Erases a word.
    VWERASE = 14;
    /// Takes the next character as it is.
    VLNEXT = 15;
    /// Ends a line too.
    VEOL2 = 16;
}

/// A control character of this value is switched off.
pub const DISABLED: u8 = 0;

/// A terminal's modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(C)]
pub struct Termios {
    /// Input modes.
    pub input: u32,
    /// Output modes.
    pub output: u32,
    /// Control modes: speed and framing. Kept and given back; a virtual line has neither.
    pub control: u32,
    /// Local modes.
    pub local: u32,
    /// Number of the line discipline; kept and given back.
    pub line: u8,
    /// Control characters.
    pub characters: [u8; CONTROLS],
}

impl Termios {
    /// What a line starts with (`tty_std_termios` of `drivers/tty/tty_io.c`).
    pub const INITIAL: Self = Self {
        input: ICRNL | IXON,
        output: OPOST | ONLCR,
        control: B38400 | CS8 | CREAD | HUPCL,
        local: ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
        line: 0,
        // INTR ^C, QUIT ^\, ERASE DEL, KILL ^U, EOF ^D, TIME 0, MIN 1, SWTC off, START ^Q, STOP ^S, SUSP ^Z, EOL off, REPRINT ^R,
        // DISCARD ^O, WERASE ^W, LNEXT ^V, EOL2 off (`INIT_C_CC` of `include/linux/tty.h`).
        characters: [3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0, 0, 0],
    };

    /// The control character at `index`, one of the constants of this module; [`DISABLED`] beyond them.
    #[must_use]
    pub fn character(&self, index: usize) -> u8 {
        self.characters.get(index).copied().unwrap_or(DISABLED)
    }

    /// Whether all bits of `mask` are set in the local modes.
    #[must_use]
    pub const fn has_local(&self, mask: u32) -> bool {
        self.local & mask == mask
    }

    /// Whether all bits of `mask` are set in the input modes.
    #[must_use]
    pub const fn has_input(&self, mask: u32) -> bool {
        self.input & mask == mask
    }

    /// Whether all bits of `mask` are set in the output modes.
    #[must_use]
    pub const fn has_output(&self, mask: u32) -> bool {
        self.output & mask == mask
    }

    /// As Linux lays it out for `TCGETS`.
    #[must_use]
    pub fn to_linux(&self) -> [u8; TERMIOS_BYTES] {
        let mut bytes = [0; TERMIOS_BYTES];
        let words = [self.input, self.output, self.control, self.local].map(u32::to_le_bytes);
        let fields = words.as_flattened().iter().chain([&self.line]).chain(&self.characters);
        for (to, from) in bytes.iter_mut().zip(fields) {
            *to = *from;
        }
        bytes
    }

    /// From Linux's layout.
    #[must_use]
    pub fn from_linux(bytes: &[u8; TERMIOS_BYTES]) -> Self {
        let word = |index: usize| {
            let mut word = [0; 4];
            for (to, from) in word.iter_mut().zip(bytes.iter().skip(index * 4)) {
                *to = *from;
            }
            u32::from_le_bytes(word)
        };
        let mut characters = [0; CONTROLS];
        for (to, from) in characters.iter_mut().zip(bytes.iter().skip(17)) {
            *to = *from;
        }
        let [.., line] = *bytes.first_chunk::<17>().unwrap_or(&[0; 17]);
        Self { input: word(0), output: word(1), control: word(2), local: word(3), line, characters }
    }
}

/// A window's size (`struct winsize`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(C)]
pub struct WindowSize {
    /// Rows of characters.
    pub rows: u16,
    /// Columns of characters.
    pub columns: u16,
    /// Width in pixels.
    pub width: u16,
    /// Height in pixels.
    pub height: u16,
}

impl WindowSize {
    /// What a serial line starts with: it cannot be asked, and programs do better with the classic size than with none.
    pub const INITIAL: Self = Self { rows: 24, columns: 80, width: 0, height: 0 };

    /// As Linux lays it out for `TIOCGWINSZ`.
    #[must_use]
    pub fn to_linux(self) -> [u8; 8] {
        let fields = [self.rows, self.columns, self.width, self.height].map(u16::to_le_bytes);
        let [[a, b], [c, d], [e, f], [g, h]] = fields;
        [a, b, c, d, e, f, g, h]
    }

    /// From Linux's layout.
    #[must_use]
    pub const fn from_linux(bytes: [u8; 8]) -> Self {
        let [a, b, c, d, e, f, g, h] = bytes;
        Self {
            rows: u16::from_le_bytes([a, b]),
            columns: u16::from_le_bytes([c, d]),
            width: u16::from_le_bytes([e, f]),
            height: u16::from_le_bytes([g, h]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{TERMIOS_BYTES, Termios, VEOF, WindowSize};

    #[test]
    fn linux_layout_is_the_kernels() {
        let bytes = Termios::INITIAL.to_linux();
        assert_eq!(bytes[..4], 0x500u32.to_le_bytes(), "ICRNL | IXON");
        assert_eq!(bytes[4..8], 5u32.to_le_bytes(), "OPOST | ONLCR");
        assert_eq!(bytes[8..12], 0x4bfu32.to_le_bytes(), "B38400 | CS8 | CREAD | HUPCL");
        assert_eq!(bytes[12..16], 0x8a3bu32.to_le_bytes(), "what `stty -a` shows after boot");
        assert_eq!(bytes[17 + VEOF], 4);
        assert_eq!(bytes.len(), TERMIOS_BYTES);
    }

    #[test]
    fn linux_layout_round_trips() {
        let bytes: [u8; TERMIOS_BYTES] = core::array::from_fn(|index| index as u8 * 7 + 1);
        assert_eq!(Termios::from_linux(&bytes).to_linux(), bytes);
        let size = WindowSize { rows: 50, columns: 0x1234, width: 3, height: 4 };
        assert_eq!(WindowSize::from_linux(size.to_linux()), size);
    }
}
