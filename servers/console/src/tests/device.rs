//! A model of the UART with its interrupt, of the streams, and of a caller.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use abi::{MAX_MESSAGE, RequestNumber};
use libsys::saved::{Area, Opened};
use protocols::console::{Error, Reply, Request, Stream, event};
use protocols::serve::{Caller, LeaseError, Serve};
use protocols::wire;

use crate::Console;
use crate::machine::{Machine, PortRecord};
use crate::saved::State;
use crate::service::WORK;

/// What a user and a host see and do.
#[derive(Default)]
pub(super) struct Device {
    /// Typed, not yet in the receiver.
    pub(super) typed: VecDeque<u8>,
    /// What reached the terminal.
    pub(super) screen: Vec<u8>,
    /// The terminal takes nothing.
    pub(super) blocked: bool,
    pub(super) script: Vec<(Stream, Vec<u8>)>,
    pub(super) events: u64,
    pub(super) interrupts_enabled: u8,
    pub(super) acknowledged: u32,
    pub(super) come_back: bool,
    pub(super) fifo_clears: u32,
    /// What the kernel counted, as it does with or without a device.
    pub(super) data: PortRecord,
    /// The next write of several bytes is cut to so many: the instance's code is damaged.
    pub(super) cut: Option<usize>,
    streams: PortRecord,
    absent: bool,
    scratch: u8,
    divisor_access: bool,
}

impl Device {
    /// An address at which no device answers.
    pub(super) fn none() -> Self {
        Self { absent: true, ..Self::default() }
    }

    /// What of a write reaches the device.
    fn passed<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[..self.cut.take().unwrap_or(bytes.len())]
    }

    /// Whether the line is raised.
    pub(super) fn interrupts(&self) -> bool {
        self.interrupts_enabled & 1 != 0 && !self.typed.is_empty() || self.interrupts_enabled & 2 != 0 && !self.blocked
    }
}

/// The machine of one instance; the device behind it outlives instances.
#[derive(Clone)]
pub(super) struct Bench(Rc<RefCell<Device>>);

impl Machine for Bench {
    fn read(&mut self, register: u8) -> u8 {
        let mut device = self.0.borrow_mut();
        match register {
            _ if device.absent => 0xff,
            0 => {
                let byte = device.typed.pop_front().expect("a read of an empty receiver");
                device.data = PortRecord { reads: device.data.reads.wrapping_add(1), last: u32::from(byte), ..device.data };
                byte
            }
            5 => u8::from(!device.typed.is_empty()) | if device.blocked { 0 } else { 0x60 },
            7 => device.scratch,
            _ => panic!("register {register} is not read"),
        }
    }

    fn write(&mut self, register: u8, value: u8) {
        let mut device = self.0.borrow_mut();
        if register == 0 {
            device.data.writes = device.data.writes.wrapping_add(1);
        }
        match register {
            0 if device.divisor_access => {}
            0 => device.screen.push(value),
            1 if !device.divisor_access => device.interrupts_enabled = value,
            2 => device.fifo_clears += u32::from(value & 6 != 0),
            3 => device.divisor_access = value & 0x80 != 0,
            7 => device.scratch = value,
            _ => {}
        }
    }

    fn write_all(&mut self, register: u8, bytes: &[u8]) {
        assert!(bytes.len() <= 16, "more than the FIFO holds");
        assert!(!self.0.borrow().blocked, "the transmitter was not ready");
        let bytes = self.0.borrow_mut().passed(bytes);
        bytes.iter().for_each(|byte| self.write(register, *byte));
    }

    fn script(&mut self, stream: Stream, bytes: &[u8]) {
        assert!(bytes.len() <= MAX_MESSAGE, "more than one operation of the kernel writes");
        let mut device = self.0.borrow_mut();
        let bytes = device.passed(bytes);
        device.streams.writes = device.streams.writes.wrapping_add(bytes.len() as u32);
        device.script.push((stream, bytes.to_vec()));
    }

    fn data_record(&mut self) -> PortRecord {
        self.0.borrow().data
    }

    fn script_record(&mut self) -> PortRecord {
        self.0.borrow().streams
    }

    fn acknowledge(&mut self) {
        self.0.borrow_mut().acknowledged += 1;
    }

    fn notify(&mut self, events: u64) {
        self.0.borrow_mut().events |= events;
    }

    fn come_back(&mut self) {
        self.0.borrow_mut().come_back = true;
    }
}

/// A console under test: its instance, its saved area, its device.
pub(super) struct Setup {
    pub(super) console: Console<Bench>,
    pub(super) area: &'static Area<State>,
    pub(super) device: Rc<RefCell<Device>>,
    number: RequestNumber,
}

impl Setup {
    pub(super) fn new() -> Self {
        Self::on(Device::default())
    }

    pub(super) fn on(device: Device) -> Self {
        let (area, device) = (Area::on_host(), Rc::new(RefCell::new(device)));
        let console = Console::new(area, Bench(device.clone()));
        Self { console, area, device, number: RequestNumber::new(11, 5, 0, 1) }
    }

    /// A new instance over what the old one left.
    pub(super) fn restart(&mut self) {
        let opened = self.area.recover();
        assert!(matches!(opened, Opened::Recovered { .. }));
        self.console = Console::new(self.area, Bench(self.device.clone()));
    }

    pub(super) fn next_number(&mut self) -> RequestNumber {
        self.number = self.number.next().with_step(1);
        self.number
    }

    /// A request under a new number.
    pub(super) fn ask(&mut self, request: &Request<'_>) -> Result<Reply, Error> {
        let number = self.next_number();
        ask(&mut self.console, &mut Program::new(number), request)
    }

    /// Types, and lets the interrupt do its work.
    pub(super) fn type_in(&mut self, bytes: &[u8]) {
        self.device.borrow_mut().typed.extend(bytes);
        self.interrupt();
    }

    /// Delivers interrupts as long as the line is raised.
    pub(super) fn interrupt(&mut self) {
        for _ in 0..1000 {
            let raised = {
                let mut device = self.device.borrow_mut();
                std::mem::take(&mut device.come_back) || device.interrupts()
            };
            if !raised {
                return;
            }
            self.console.notified(WORK);
        }
        panic!("an interrupt storm");
    }

    pub(super) fn block(&mut self, blocked: bool) {
        self.device.borrow_mut().blocked = blocked;
        self.interrupt();
    }

    pub(super) fn screen(&self) -> Vec<u8> {
        std::mem::take(&mut self.device.borrow_mut().screen)
    }

    pub(super) fn events(&self) -> u64 {
        std::mem::take(&mut self.device.borrow_mut().events) & event::ALL
    }
}

/// Asks as bytes, as the kernel would deliver them.
pub(super) fn ask(console: &mut impl Serve, caller: &mut Program, request: &Request<'_>) -> Result<Reply, Error> {
    let mut message = [0; MAX_MESSAGE];
    let length = wire::encode(request, &mut message).expect("a request fits");
    let mut reply = [0; MAX_MESSAGE];
    let answer = console.serve(caller, &message[..length], &mut reply);
    wire::decode(&reply[..answer.bytes]).expect("an answer")
}

/// A caller with one lease.
#[derive(Clone)]
pub(super) struct Program {
    number: RequestNumber,
    /// The lease's bytes.
    pub(super) memory: Vec<u8>,
    /// Offset of a page that is missing, from which on nothing can be copied.
    pub(super) missing: Option<u64>,
}

impl Program {
    pub(super) fn new(number: RequestNumber) -> Self {
        Self { number, memory: Vec::new(), missing: None }
    }

    pub(super) fn with_memory(mut self, memory: impl Into<Vec<u8>>) -> Self {
        self.memory = memory.into();
        self
    }

    fn range(&self, lease: usize, offset: u64, length: usize, write: bool) -> Result<std::ops::Range<usize>, LeaseError> {
        let end = offset as usize + length;
        if lease != 0 || end > self.memory.len() {
            return Err(LeaseError::Invalid);
        }
        match self.missing {
            Some(address) if end as u64 > address => Err(LeaseError::NeedsPage { address, write }),
            _ => Ok(offset as usize..end),
        }
    }
}

impl Caller for Program {
    fn badge(&self) -> u64 {
        0
    }

    fn number(&self) -> RequestNumber {
        self.number
    }

    fn read(&mut self, lease: usize, offset: u64, to: &mut [u8]) -> Result<(), LeaseError> {
        let range = self.range(lease, offset, to.len(), false)?;
        to.copy_from_slice(&self.memory[range]);
        Ok(())
    }

    fn write(&mut self, lease: usize, offset: u64, from: &[u8]) -> Result<(), LeaseError> {
        let range = self.range(lease, offset, from.len(), true)?;
        self.memory[range].copy_from_slice(from);
        Ok(())
    }

    fn caps(&self) -> usize {
        0
    }
}
