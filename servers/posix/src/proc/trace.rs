//! A record of the kernel's trace in words, for /proc/synos/trace: time in microseconds, who, what, detail, and a word by kind.

use alloc::format;
use alloc::string::String;

use abi::{Control, TraceKind, TraceRecord};
use protocols::service::Badge;

use crate::saved::{LANES, state};
use crate::server::Posix;
use crate::table;

impl Posix<'_> {
    /// One line.
    pub(super) fn traced(&self, record: TraceRecord) -> String {
        let who = self.traced_thread(record.badge);
        let (what, detail) = match record.kind() {
            Some(TraceKind::Operation) => ("operation", operation(record.detail() as u32)),
            Some(TraceKind::LinuxCall) => ("call", call(record.detail())),
            Some(TraceKind::Exception) => ("exception", format!("{}:{:#x}", record.detail() & 0xff, record.detail() >> 8)),
            Some(TraceKind::Line) => ("line", format!("{}", record.detail())),
            Some(TraceKind::Timer) => ("timer", "-".into()),
            Some(TraceKind::Runs) => return format!("{:>12} {who} runs - {}\n", record.at, self.traced_thread(record.word)),
            None => ("unknown", "-".into()),
        };
        format!("{:>12} {who} {what} {detail} {:#x}\n", record.at, record.word)
    }

    /// A server's thread as `vfs.0`, a program's by its number.
    fn traced_thread(&self, badge: u64) -> String {
        if badge == 0 {
            return "supervisor".into();
        }
        if badge & Badge::LANE == 0 {
            let name = Badge::from_word(badge).service().map_or("unknown", |service| service.name());
            return format!("{name}.{}", Badge::thread_of_word(badge));
        }
        let lane = (badge & !Badge::LANE) as usize;
        if lane < LANES && self.store.thread(lane).state != state::FREE { format!("{}", self.store.thread(lane).tid) } else { "ended".into() }
    }
}

fn operation(control: u32) -> String {
    match Control(control).operation() {
        Some(operation) => format!("{operation:?}:{}", Control(control).handle()),
        None => format!("{control:#x}"),
    }
}

fn call(number: u64) -> String {
    table::name(number).map_or_else(|| format!("{number}"), String::from)
}

#[cfg(test)]
mod tests {
    use super::{call, operation};
    use abi::{Control, Operation};

    #[test]
    fn operations_and_calls_have_names() {
        assert_eq!(operation(Control::new(Operation::ReplyReceive, 4).0), "ReplyReceive:4");
        assert_eq!(operation(0x7f00_0000), "0x7f000000");
        assert_eq!([call(0), call(39), call(9999)], ["read", "getpid", "9999"]);
    }
}
