//! `ioctl`: terminals, and the few that any file has.

use protocols::console::{Flow, Queue, Termios, When, WindowSize};

use crate::call::{Call, SysResult};
use crate::errno::Errno;
use crate::fd::{NONBLOCK, kind};
use crate::saved::File;
use crate::signal::{SI_KERNEL, SIGTTOU, SIGWINCH};
use crate::tty::console_stop;

const TCGETS: u64 = 0x5401;
const TCSETS: u64 = 0x5402;
const TCSETSW: u64 = 0x5403;
const TCSETSF: u64 = 0x5404;
const TCSBRK: u64 = 0x5409;
const TCXONC: u64 = 0x540a;
const TCFLSH: u64 = 0x540b;
const TIOCSCTTY: u64 = 0x540e;
const TIOCGPGRP: u64 = 0x540f;
const TIOCSPGRP: u64 = 0x5410;
const TIOCOUTQ: u64 = 0x5411;
const TIOCGWINSZ: u64 = 0x5413;
const TIOCSWINSZ: u64 = 0x5414;
const FIONREAD: u64 = 0x541b;
const FIONBIO: u64 = 0x5421;
const TIOCNOTTY: u64 = 0x5422;
const TCSBRKP: u64 = 0x5425;
const TIOCGSID: u64 = 0x5429;
const FIONCLEX: u64 = 0x5450;
const FIOCLEX: u64 = 0x5451;

/// Asks a file something of its kind.
pub fn sys_ioctl(call: &mut Call<'_, '_>) -> SysResult {
    let [descriptor, request, argument, ..] = call.arguments;
    let (index, file) = call.posix.file_of(call.process, descriptor)?;
    if file.kind == kind::PLACE {
        return Err(Errno::EBADF.into());
    }
    match request & 0xffff_ffff {
        FIOCLEX | FIONCLEX => {
            call.posix.install(call.process, descriptor as u32 as usize, index, request & 0xffff_ffff == FIOCLEX);
            Ok(0)
        }
        FIONBIO => {
            let on = call.read_u32(argument)? != 0;
            call.posix.store.edit_file(index, |file| file.flags = if on { file.flags | NONBLOCK } else { file.flags & !NONBLOCK });
            Ok(0)
        }
        FIONREAD if file.kind != kind::TERMINAL => readable_bytes(call, index, &file, argument),
        request if file.kind == kind::TERMINAL => terminal(call, &file, request, argument),
        _ => Err(Errno::ENOTTY.into()),
    }
}

fn readable_bytes(call: &mut Call<'_, '_>, index: usize, file: &File, to: u64) -> SysResult {
    let bytes = match file.kind {
        kind::PIPE => call.posix.store.pipe(file.object as usize).bytes() as u64,
        kind::REGULAR => call.stat_file(index, file)?.size.saturating_sub(file.offset),
        _ => return Err(Errno::ENOTTY.into()),
    };
    call.write_u32(to, bytes.min(i32::MAX as u64) as u32)?;
    Ok(0)
}

fn terminal(call: &mut Call<'_, '_>, file: &File, request: u64, argument: u64) -> SysResult {
    match request {
        TCGETS => {
            let number = call.ask();
            let modes = call.posix.console().termios(number).map_err(console_stop)?;
            call.write(argument, &modes.to_linux())?;
            Ok(0)
        }
        TCSETS => set_modes(call, file, argument, When::Now),
        TCSETSW => set_modes(call, file, argument, When::Drained),
        TCSETSF => set_modes(call, file, argument, When::Flushed),
        TIOCGWINSZ => {
            let number = call.ask();
            let size = call.posix.console().window_size(number).map_err(console_stop)?;
            call.write(argument, &size.to_linux())?;
            Ok(0)
        }
        TIOCSWINSZ => set_window_size(call, file, argument),
        TIOCGPGRP | TIOCGSID => ask_owner(call, file, request, argument),
        TIOCSPGRP => {
            let group = call.read_u32(argument)?;
            call.set_foreground(file.object, group)
        }
        TIOCSCTTY => {
            call.take_terminal(file.object)?;
            Ok(0)
        }
        TIOCNOTTY => {
            if call.me().terminal != file.object {
                return Err(Errno::ENOTTY.into());
            }
            call.posix.store.edit_process(call.process, |process| process.terminal = 0);
            Ok(0)
        }
        FIONREAD | TIOCOUTQ => {
            let number = call.ask();
            let status = call.posix.console().status(number).map_err(console_stop)?;
            call.write_u32(argument, if request == FIONREAD { status.input_bytes } else { status.output_bytes })?;
            Ok(0)
        }
        TCSBRK | TCSBRKP => {
            let number = call.ask();
            call.posix.console().drain(number).map_err(console_stop)?;
            Ok(0)
        }
        TCFLSH => {
            let queue = match argument {
                0 => Queue::Input,
                1 => Queue::Output,
                2 => Queue::Both,
                _ => return Err(Errno::EINVAL.into()),
            };
            let number = call.effect();
            call.posix.console().flush(number, queue).map_err(console_stop)?;
            Ok(0)
        }
        TCXONC => {
            let flow = match argument {
                0 => Flow::StopOutput,
                1 => Flow::StartOutput,
                2 => Flow::StopInput,
                3 => Flow::StartInput,
                _ => return Err(Errno::EINVAL.into()),
            };
            let number = call.ask();
            call.posix.console().flow(number, flow).map_err(console_stop)?;
            Ok(0)
        }
        _ => Err(Errno::ENOTTY.into()),
    }
}

fn set_modes(call: &mut Call<'_, '_>, file: &File, argument: u64, when: When) -> SysResult {
    let modes = Termios::from_linux(&call.read_bytes(argument)?);
    call.check_foreground(file.object, SIGTTOU)?;
    let number = call.effect();
    match call.posix.console().set_termios(number, modes, when) {
        Ok(()) => Ok(0),
        Err(error) => match console_stop(error) {
            crate::call::Stop::Wait(wait) => call.wait(wait, true),
            stop => Err(stop),
        },
    }
}

fn set_window_size(call: &mut Call<'_, '_>, file: &File, argument: u64) -> SysResult {
    let size = WindowSize::from_linux(call.read_bytes(argument)?);
    let number = call.ask();
    let before = call.posix.console().window_size(number).map_err(console_stop)?;
    call.posix.console().set_window_size(number, size).map_err(console_stop)?;
    let foreground = call.posix.store.terminal(file.object as usize).foreground;
    if before != size && foreground != 0 {
        call.posix.send_group(foreground, SIGWINCH, crate::saved::Origin { code: SI_KERNEL, ..Default::default() });
    }
    Ok(0)
}

fn ask_owner(call: &mut Call<'_, '_>, file: &File, request: u64, argument: u64) -> SysResult {
    let terminal = call.posix.store.terminal(file.object as usize);
    if call.me().terminal != file.object {
        return Err(Errno::ENOTTY.into());
    }
    call.write_u32(argument, if request == TIOCGSID { terminal.session } else { terminal.foreground })?;
    Ok(0)
}
