//! Which faults a run injects: everything follows from the option's line.
//!
//! `inject=SEED:FAULTS:SERVICES:KINDS`, with names separated by commas, or `all`; `vfs+posix` are both at once. The n-th fault has a generator of its own, seeded by SEED and n, so that
//! what became of its predecessors changes nothing about it.

use core::ops::Range;

use heapless::Vec;
use protocols::manifest::MAX_SERVICES;
use protocols::service::Service;

/// What can go wrong in a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The panic path, on the stack of whatever the thread does.
    Panic,
    /// The thread goes on at an address where there is no code.
    Jump,
    /// The thread's stack overflows.
    Overflow,
    /// The thread never comes back.
    Hang,
    /// A bit of one of the thread's registers.
    Register,
    /// A bit of the instruction that comes next, or of one just behind it.
    Text,
    /// A bit of the image's writable segments or of the heap.
    Data,
    /// A bit of the stack that is in use.
    Stack,
    /// Eight wrong bytes anywhere in segments, heap or stack.
    Write,
    /// The next message that the thread sends in a call gets lost, and the thread is told what it is told when a server dies.
    Dropped,
    /// The next message that the thread sends in a call is sent once more when it was answered.
    Doubled,
    /// A bit of the next message that the thread sends, as a call or as an answer.
    Corrupted,
    /// One of the next allocations from the instance's heap fails.
    Allocation,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Panic,
        Self::Jump,
        Self::Overflow,
        Self::Hang,
        Self::Register,
        Self::Text,
        Self::Data,
        Self::Stack,
        Self::Write,
        Self::Dropped,
        Self::Doubled,
        Self::Corrupted,
        Self::Allocation,
    ];

    /// Its name on the option's line and on the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Panic => "panic",
            Self::Jump => "jump",
            Self::Overflow => "overflow",
            Self::Hang => "hang",
            Self::Register => "register",
            Self::Text => "text",
            Self::Data => "data",
            Self::Stack => "stack",
            Self::Write => "write",
            Self::Dropped => "dropped",
            Self::Doubled => "doubled",
            Self::Corrupted => "corrupted",
            Self::Allocation => "allocation",
        }
    }

    /// Whether the thread does nothing else after it.
    #[must_use]
    pub const fn is_fail_stop(self) -> bool {
        matches!(self, Self::Panic | Self::Jump | Self::Overflow | Self::Hang)
    }

    /// Whether it strikes a thread that is about to send a message, and no other.
    #[must_use]
    pub const fn is_of_message(self) -> bool {
        matches!(self, Self::Dropped | Self::Doubled | Self::Corrupted)
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Numbers that look random and are the same in every run: splitmix64.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// A generator.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.word() % end.max(1)
    }

    /// A number from 1 to at most a power of two whose exponent is one of these, each as likely: small ones are.
    pub fn up_to_power(&mut self, exponents: Range<u64>) -> u64 {
        let most = 1 << (exponents.start + self.below(exponents.end - exponents.start));
        1 + self.below(most)
    }

    /// One of `choices`; `None` when there are none.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> Option<T> {
        choices.get(self.below(choices.len() as u64) as usize).copied()
    }
}

/// Of so many fail-stop faults one strikes two servers at once.
const PAIRS: u64 = 6;

/// A fault to come.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Counted from 1.
    pub number: u32,
    /// What.
    pub kind: Kind,
    /// To whom.
    pub service: Service,
    /// Who suffers the same at the same moment.
    pub companion: Option<Service>,
    /// For what else is to be chosen.
    pub dice: Dice,
}

/// The faults of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    seed: u64,
    /// How many.
    pub faults: u32,
    /// With who is always struck too.
    services: Vec<(Service, Option<Service>), MAX_SERVICES>,
    kinds: Vec<Kind, { Kind::ALL.len() }>,
}

impl Plan {
    /// The plan of the options' first `inject=` line that can be read; `present` are the services of this machine.
    #[must_use]
    pub fn read(options: &str, present: &[Service]) -> Option<Self> {
        options.lines().filter_map(|line| line.trim().strip_prefix("inject=")).find_map(|line| Self::parse(line, present))
    }

    fn parse(line: &str, present: &[Service]) -> Option<Self> {
        let mut parts = line.split(':');
        let (seed, faults) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let service = |name: &str| present.iter().copied().find(|service| service.name() == name);
        let victims = |names: &str| match names.split_once('+') {
            None => Some((service(names)?, None)),
            Some((one, other)) => Some((service(one)?, Some(service(other)?))),
        };
        let all: Vec<_, MAX_SERVICES> = present.iter().map(|service| (*service, None)).collect();
        let plan = Self { seed, faults, services: list(parts.next()?, &all, victims)?, kinds: list(parts.next()?, &Kind::ALL, Kind::from_name)? };
        parts.next().is_none().then_some(plan)
    }

    /// The `number`-th fault; `None` when there are no more.
    #[must_use]
    pub fn fault(&self, number: u32) -> Option<Fault> {
        if number == 0 || number > self.faults {
            return None;
        }
        let mut dice = Dice::new(self.seed.wrapping_mul(0x1_0000_0001).wrapping_add(u64::from(number)));
        let (kind, (service, always)) = (dice.pick(&self.kinds)?, dice.pick(&self.services)?);
        let both = kind.is_fail_stop() && dice.below(PAIRS) == 0;
        let (other, _) = dice.pick(&self.services)?;
        Some(Fault { number, kind, service, companion: always.or((both && other != service).then_some(other)), dice })
    }
}

/// The names of a comma-separated list, or everything. `None` for a name that there is not.
fn list<T: Copy, const N: usize>(names: &str, all: &[T], from_name: impl Fn(&str) -> Option<T>) -> Option<Vec<T, N>> {
    if names == "all" {
        return Vec::from_slice(all).ok();
    }
    names.split(',').map(from_name).collect()
}

#[cfg(test)]
mod tests {
    use super::{Kind, Plan};
    use protocols::service::Service;

    const PRESENT: [Service; 3] = [Service::Memory, Service::Vfs, Service::Posix];

    fn plan(options: &str) -> Option<Plan> {
        Plan::read(options, &PRESENT)
    }

    #[test]
    fn faults_follow_from_the_line_and_cover_what_it_names() {
        let plan = plan("script=/s\ninject=7:400:vfs,posix:jump,text\n").expect("a plan");
        let faults: Vec<_> = (1..).map_while(|number| plan.fault(number)).collect();
        assert_eq!(faults.len(), 400);
        for (service, kind) in [(Service::Vfs, Kind::Jump), (Service::Vfs, Kind::Text), (Service::Posix, Kind::Jump), (Service::Posix, Kind::Text)] {
            let count = faults.iter().filter(|fault| (fault.service, fault.kind) == (service, kind)).count();
            assert!((60..140).contains(&count), "{service:?} {kind:?}: {count}");
        }
        assert!(faults.iter().all(|fault| fault.kind == Kind::Jump || fault.companion.is_none()));
        assert!(faults.iter().filter(|fault| fault.companion.is_some_and(|other| other != fault.service)).count() > 5);
        let again = plan.fault(9).expect("the ninth");
        assert_eq!((again.service, again.kind, again.dice.clone().word()), (faults[8].service, faults[8].kind, faults[8].dice.clone().word()));
    }

    #[test]
    fn two_names_are_struck_at_once() {
        let plan = plan("inject=1:50:vfs+posix:jump").expect("a plan");
        let faults: Vec<_> = (1..).map_while(|number| plan.fault(number)).collect();
        assert!(faults.iter().all(|fault| (fault.service, fault.companion) == (Service::Vfs, Some(Service::Posix))));
    }

    #[test]
    fn all_is_everything_that_there_is() {
        let plan = plan("inject=1:300:all:all").expect("a plan");
        let faults: Vec<_> = (1..).map_while(|number| plan.fault(number)).collect();
        assert!(PRESENT.iter().all(|service| faults.iter().any(|fault| fault.service == *service)));
        assert!(Kind::ALL.iter().all(|kind| faults.iter().any(|fault| fault.kind == *kind)));
        assert!(plan.fault(0).is_none());
    }

    #[test]
    fn lines_that_cannot_be_read_arm_nothing() {
        for line in [
            "",
            "inject=",
            "inject=1:5:all",
            "inject=1:5:web:all",
            "inject=1:5:all:gently",
            "inject=x:5:all:all",
            "inject=1:5:vfs+web:all",
            "inject=1:5:all:all:1",
        ] {
            assert_eq!(plan(line), None, "{line}");
        }
    }

    #[test]
    fn every_kind_is_found_by_its_name() {
        assert!(Kind::ALL.into_iter().all(|kind| Kind::from_name(kind.name()) == Some(kind)));
    }
}
