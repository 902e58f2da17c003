//! `ioctl`: terminals, and the few that any file has.

use protocols::console::{Flow, Queue, Termios, When, WindowSize};

use crate::call::{Call, SysResult};
use crate::device;
use crate::errno::Errno;
use crate::fd::{ACCESS_MODE, NONBLOCK, WRITE_ONLY, kind};
use crate::llm;
use crate::saved::File;
use crate::signal::SIGTTOU;
use crate::tty::pty::pty_of;

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
const TIOCGETD: u64 = 0x5424;
const TCSBRKP: u64 = 0x5425;
const TIOCGSID: u64 = 0x5429;
const TIOCGPTPEER: u64 = 0x5441;
const FIONCLEX: u64 = 0x5450;
const FIOCLEX: u64 = 0x5451;
const TIOCSPTLCK: u64 = 0x4004_5431;
const TIOCGPTN: u64 = 0x8004_5430;
const TIOCGPTLCK: u64 = 0x8004_5439;

/// Asks a file something of its kind.
pub fn sys_ioctl(call: &mut Call<'_, '_>) -> SysResult {
    let [descriptor, request, argument, ..] = call.arguments;
    let (index, file) = call.posix.file_of(call.process, descriptor)?;
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
        request if file.kind == kind::TERMINAL => slave(call, &file, request, argument),
        request if file.kind == kind::MASTER => master(call, &file, request, argument),
        llm::STATUS if file.kind == kind::LLM => call.tell_llm(&file, argument),
        // Linux: `random_ioctl`.
        _ if file.kind == kind::DEVICE && matches!(file.object, device::RANDOM | device::URANDOM) => Err(Errno::EINVAL.into()),
        FIONREAD => readable_bytes(call, index, &file, argument),
        _ => Err(Errno::ENOTTY.into()),
    }
}

fn readable_bytes(call: &mut Call<'_, '_>, index: usize, file: &File, to: u64) -> SysResult {
    let bytes = match file.kind {
        kind::PIPE => call.posix.store.pipe(file.object as usize).bytes() as u64,
        kind::SOCKET if call.posix.store.socket(file.object as usize).state == crate::socket::state::LISTENING => return Err(Errno::EINVAL.into()),
        kind::SOCKET => call.posix.readable_bytes_of_socket(file.object as usize),
        kind::REGULAR => call.stat_file(index, file)?.size.saturating_sub(file.offset),
        _ => return Err(Errno::ENOTTY.into()),
    };
    call.write_u32(to, bytes.min(i32::MAX as u64) as u32)?;
    Ok(0)
}

/// What only a program's own terminal is asked, or is asked otherwise there.
fn slave(call: &mut Call<'_, '_>, file: &File, request: u64, argument: u64) -> SysResult {
    let terminal = file.object;
    if call.posix.is_hung_up(terminal) {
        return Err(if request == TIOCSPGRP { Errno::ENOTTY } else { Errno::EIO }.into());
    }
    match request {
        TCSETS | TCSETSW | TCSETSF | TCSBRK | TCSBRKP | TCFLSH | TCXONC => call.check_foreground(terminal, SIGTTOU)?,
        TIOCGPGRP | TIOCGSID if call.me().terminal != terminal => return Err(Errno::ENOTTY.into()),
        _ => {}
    }
    match request {
        FIONREAD | TIOCOUTQ => {
            let status = call.queued(terminal)?;
            call.write_u32(argument, if request == FIONREAD { status.input_bytes } else { status.output_bytes })?;
            Ok(0)
        }
        TCFLSH => {
            let queue = queue_argument(argument)?;
            call.flush_queue(terminal, queue)
        }
        TIOCNOTTY => call.give_up_terminal(terminal),
        _ => either(call, file, request, argument),
    }
}

/// What only a master is asked, or is asked otherwise there.
fn master(call: &mut Call<'_, '_>, file: &File, request: u64, argument: u64) -> SysResult {
    let terminal = file.object;
    let pty = pty_of(terminal).ok_or(Errno::EIO)?;
    match request {
        TIOCGPTN => call.write_u32(argument, pty as u32)?,
        TIOCSPTLCK => {
            let locked = u32::from(call.read_u32(argument)? != 0);
            call.posix.store.edit_terminal(terminal as usize, |terminal| terminal.locked = locked);
        }
        TIOCGPTLCK => call.write_u32(argument, call.posix.store.terminal(terminal as usize).locked)?,
        TIOCGPTPEER => {
            let flags = argument as u32;
            let slave = call.pty_file(pty, flags & (ACCESS_MODE | NONBLOCK))?;
            return super::open::install_terminal(call, slave, flags);
        }
        // What is readable here is what the other side has written.
        FIONREAD => {
            let line = call.posix.store.line(pty).ok_or(Errno::EIO)?;
            call.write_u32(argument, line.look(|line| line.status()).output_bytes)?;
        }
        TIOCOUTQ => call.write_u32(argument, 0)?,
        TCFLSH => {
            if queue_argument(argument)? != Queue::Output {
                call.posix.store.edit_line(pty, |line, transaction| line.change::<0, _>(transaction, |line| line.flush(Queue::Output)));
            }
        }
        TCSBRK | TCSBRKP | TCXONC => {}
        TIOCNOTTY => return Err(Errno::ENOTTY.into()),
        _ => return either(call, file, request, argument),
    }
    Ok(0)
}

/// What is asked of either side and answered for the terminal.
fn either(call: &mut Call<'_, '_>, file: &File, request: u64, argument: u64) -> SysResult {
    let terminal = file.object;
    match request {
        TCGETS => {
            let modes = call.modes(terminal)?;
            call.write(argument, &modes.to_linux())?;
        }
        TCSETS | TCSETSW | TCSETSF => {
            let modes = Termios::from_linux(&call.read_bytes(argument)?);
            let when = [When::Now, When::Drained, When::Flushed][(request - TCSETS) as usize % 3];
            return call.set_modes(terminal, modes, when);
        }
        TIOCGWINSZ => {
            let size = call.window_size(terminal)?;
            call.write(argument, &size.to_linux())?;
        }
        TIOCSWINSZ => {
            let size = WindowSize::from_linux(call.read_bytes(argument)?);
            return call.set_window_size(terminal, size);
        }
        TIOCGPGRP => call.write_u32(argument, call.posix.store.terminal(terminal as usize).foreground)?,
        TIOCGSID => {
            let session = call.posix.store.terminal(terminal as usize).session;
            if session == 0 {
                return Err(Errno::ENOTTY.into());
            }
            call.write_u32(argument, session)?;
        }
        TIOCSPGRP => {
            let group = call.read_u32(argument)?;
            return call.set_foreground(terminal, group);
        }
        TIOCSCTTY => {
            if file.flags & ACCESS_MODE == WRITE_ONLY && call.me().uid[1] != 0 {
                return Err(Errno::EPERM.into());
            }
            call.take_terminal(terminal, argument == 1)?;
        }
        TIOCGETD => call.write_u32(argument, 0)?,
        TCSBRK | TCSBRKP => return call.drain(terminal),
        TCXONC => {
            let flow = match argument {
                0 => Flow::StopOutput,
                1 => Flow::StartOutput,
                2 => Flow::StopInput,
                3 => Flow::StartInput,
                _ => return Err(Errno::EINVAL.into()),
            };
            return call.control_flow(terminal, flow);
        }
        _ => return Err(Errno::ENOTTY.into()),
    }
    Ok(0)
}

fn queue_argument(argument: u64) -> Result<Queue, Errno> {
    match argument {
        0 => Ok(Queue::Input),
        1 => Ok(Queue::Output),
        2 => Ok(Queue::Both),
        _ => Err(Errno::EINVAL),
    }
}
