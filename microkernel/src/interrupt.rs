//! Interrupt lines and I/O ports.
//!
//! Invariants: a line that fired stays masked until its driver acknowledges it, so a dead driver's line is silent until a successor binds it; what was
//! done through a capability to ports is counted in its slot within the same trap, so the count and the device never differ.

use abi::{Error, ObjectKind, Rights, TraceKind};

use crate::capability::{Slot, SlotPlace};
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::notification::Notification;
use crate::page::{self, Ref};
use crate::thread::{Port, Thread};
use crate::wrap;

/// What an interrupt line is bound to.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Line {
    notification: Port<Notification>,
    bits: u64,
}

impl Line {
    pub(crate) const FREE: Self = Self { notification: Port::NONE, bits: 0 };
}

impl<M: Machine> Kernel<M> {
    /// A device raised a line: it is masked, and its notification signalled.
    pub fn line_fired(&mut self, line: u32) {
        if self.trace.on {
            self.trace_interrupt(TraceKind::Line, line);
        }
        self.machine.set_line(line, false);
        let Some(bound) = self.lines.get(line as usize).copied() else { return };
        let Some(notification) = bound.notification.object.some() else { return };
        let page = self.machine.page_of(notification.address());
        if self.is_live(page, bound.notification.epoch, ObjectKind::Notification as u8) {
            self.signal(notification, bound.bits);
        }
    }

    fn line_of(&mut self, thread: Ref<Thread>, handle: u32, offset: u64) -> Result<u32, Error> {
        let slot = self.lookup(thread, handle, ObjectKind::Irq, Rights::USE)?;
        if !slot.covers(offset, 1) {
            return Err(Error::InvalidArgument);
        }
        let line = slot.first.wrapping_add(offset as u32);
        if line < self.machine.lines() && (line as usize) < self.lines.len() { Ok(line) } else { Err(Error::InvalidArgument) }
    }

    /// Binds a line to a notification and unmasks it, or frees it.
    pub(crate) fn bind_line(&mut self, thread: Ref<Thread>, handle: u32) -> Result<(), Error> {
        let [offset, notification, bits] = self.arguments(thread);
        let line = self.line_of(thread, handle, offset)?;
        let notification = u32::try_from(notification).map_err(|_| Error::InvalidArgument)?;
        let bound = if notification == 0 {
            Line::FREE
        } else {
            let slot = self.lookup(thread, notification, ObjectKind::Notification, Rights::SIGNAL)?;
            Line { notification: Port { object: slot.reference(), epoch: slot.epoch }, bits }
        };
        if let Some(entry) = self.lines.get_mut(line as usize) {
            *entry = bound;
        }
        self.machine.set_line(line, notification != 0);
        Ok(())
    }

    /// Unmasks a line after its device was served.
    pub(crate) fn acknowledge_line(&mut self, thread: Ref<Thread>, handle: u32) -> Result<(), Error> {
        let [offset] = self.arguments(thread);
        let line = self.line_of(thread, handle, offset)?;
        self.machine.set_line(line, true);
        Ok(())
    }

    fn port_of(slot: &Slot, offset: u64, width: u64) -> Result<(u16, u8), Error> {
        if !matches!(width, 1 | 2 | 4) || !slot.covers(offset, width) {
            return Err(Error::InvalidArgument);
        }
        let port = u64::from(slot.first).wrapping_add(offset);
        Ok((u16::try_from(port).map_err(|_| Error::InvalidArgument)?, width as u8))
    }

    /// The capability that a handle names, and where it lies, for its record.
    fn ports(&mut self, thread: Ref<Thread>, handle: u32) -> Result<(Slot, SlotPlace), Error> {
        let slot = self.lookup(thread, handle, ObjectKind::IoPorts, Rights::USE)?;
        Ok((slot, self.handle_place(thread, handle)?))
    }

    /// Reads a port.
    pub(crate) fn read_port(&mut self, thread: Ref<Thread>, handle: u32) -> Result<u64, Error> {
        let words: [u64; 2] = self.arguments(thread);
        let (slot, place) = self.ports(thread, handle)?;
        let (port, width) = Self::port_of(&slot, words[0], words[1])?;
        let value = self.machine.port_in(port, width);
        self.slot(place).note_read(value);
        Ok(u64::from(value))
    }

    /// Writes a port.
    pub(crate) fn write_port(&mut self, thread: Ref<Thread>, handle: u32) -> Result<(), Error> {
        let words: [u64; 3] = self.arguments(thread);
        let (slot, place) = self.ports(thread, handle)?;
        let (port, width) = Self::port_of(&slot, words[0], words[1])?;
        self.machine.port_out(port, width, words[2] as u32);
        self.slot(place).note_writes(1);
        Ok(())
    }

    /// Writes bytes of the message page to one port.
    pub(crate) fn write_port_bytes(&mut self, thread: Ref<Thread>, handle: u32) -> Result<(), Error> {
        let words: [u64; 2] = self.arguments(thread);
        let (slot, place) = self.ports(thread, handle)?;
        let (port, _) = Self::port_of(&slot, words[0], 1)?;
        let (page, length) = self.message_bytes(thread, words[1])?;
        for index in 0..length {
            let byte = *wrap::at(page::bytes(&mut self.machine, page), index);
            self.machine.port_out(port, 1, u32::from(byte));
        }
        self.slot(place).note_writes(length as u32);
        Ok(())
    }

    /// What was done through a capability to ports.
    pub(crate) fn port_record(&mut self, thread: Ref<Thread>, handle: u32) -> Result<[u64; 6], Error> {
        let (slot, _) = self.ports(thread, handle)?;
        Ok([slot.epoch >> 32, u64::from(slot.epoch as u32), slot.badge, 0, 0, 0])
    }

    /// Appends bytes of the message page to the system's log.
    pub(crate) fn write_log(&mut self, thread: Ref<Thread>) -> Result<(), Error> {
        let [length] = self.arguments(thread);
        let (page, length) = self.message_bytes(thread, length)?;
        let line = *page::bytes(&mut self.machine, page);
        if let Some(line) = line.get(..length) {
            self.machine.log(line);
        }
        Ok(())
    }

    fn message_bytes(&mut self, thread: Ref<Thread>, length: u64) -> Result<(u32, usize), Error> {
        let page = self.thread(thread).message_page;
        if page == 0 {
            return Err(Error::WrongState);
        }
        let length = usize::try_from(length).map_err(|_| Error::InvalidArgument)?;
        if length > abi::MAX_MESSAGE { Err(Error::InvalidArgument) } else { Ok((page, length)) }
    }
}
