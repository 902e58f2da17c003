//! Who is who: the services' numbers, and the badge under which one server's messages reach another.
//!
//! The number of a service is part of request numbers, badges, capability slots and the manifest. Numbers are never given twice.

use abi::RequestNumber;
use serde::{Deserialize, Serialize};

/// A service: what keeps its name and its numbers while its instances come and go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u8)]
pub enum Service {
    /// Starts and restarts all others.
    Supervisor = 1,
    /// Owns free memory; pager of native servers.
    Memory = 2,
    /// Finds devices.
    Hardware = 3,
    /// Disks.
    Block = 4,
    /// Network.
    Net = 5,
    /// Paths, page cache, file systems.
    Vfs = 6,
    /// Serial line.
    Console = 7,
    /// Language model.
    Inference = 8,
    /// Telemetry, prediction, policy.
    Consciousness = 9,
    /// Security orchestrator.
    Security = 10,
    /// Linux system calls.
    Posix = 11,
    /// HTTP.
    Web = 12,
    /// Crashes on request, in tests.
    Victim = 13,
    /// Calls the victim, in tests.
    Probe = 14,
}

impl Service {
    /// Every service, in the order of their numbers.
    pub const ALL: [Self; 14] = [
        Self::Supervisor,
        Self::Memory,
        Self::Hardware,
        Self::Block,
        Self::Net,
        Self::Vfs,
        Self::Console,
        Self::Inference,
        Self::Consciousness,
        Self::Security,
        Self::Posix,
        Self::Web,
        Self::Victim,
        Self::Probe,
    ];

    /// Its number.
    #[must_use]
    pub const fn id(self) -> u8 {
        self as u8
    }

    /// The service with a number.
    #[must_use]
    pub fn from_id(id: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.id() == id)
    }

    /// Its name, as in `services.toml`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Supervisor => "supervisor",
            Self::Memory => "memory",
            Self::Hardware => "hardware",
            Self::Block => "block",
            Self::Net => "net",
            Self::Vfs => "vfs",
            Self::Console => "console",
            Self::Inference => "inference",
            Self::Consciousness => "consciousness",
            Self::Security => "security",
            Self::Posix => "posix",
            Self::Web => "web",
            Self::Victim => "victim",
            Self::Probe => "probe",
        }
    }

    /// The service with a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.name() == name)
    }
}

/// Which instance of which service a message comes from. The kernel delivers it; it cannot be forged.
///
/// The instance is part of it because a late word about a dead instance must not be taken for one about its successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Badge {
    /// The service's number.
    pub service: u8,
    /// Counts the service's instances from 1.
    pub instance: u32,
}

impl Badge {
    /// Set in the badge of a Linux thread's faults and reflected calls; the low bits are its lane.
    pub const LANE: u64 = 1 << 63;

    /// The badge of an instance of `service`.
    #[must_use]
    pub const fn new(service: Service, instance: u32) -> Self {
        Self { service: service.id(), instance }
    }

    /// The kernel's word: service in the top byte, instance in the low half.
    #[must_use]
    pub const fn to_word(self) -> u64 {
        (self.service as u64) << 56 | self.instance as u64
    }

    /// The word under which the faults of one of the instance's threads arrive: as [`Badge::to_word`], with the thread between the two.
    #[must_use]
    pub const fn to_word_of_thread(self, thread: u8) -> u64 {
        self.to_word() | (thread as u64) << 32
    }

    /// The thread in a word of [`Badge::to_word_of_thread`].
    #[must_use]
    pub const fn thread_of_word(word: u64) -> u8 {
        (word >> 32) as u8
    }

    /// Takes the kernel's word apart; which thread it is about does not matter to it.
    #[must_use]
    pub const fn from_word(word: u64) -> Self {
        Self { service: (word >> 56) as u8, instance: word as u32 }
    }

    /// Whether the kernel may have delivered the word with this request: it names a service or a lane, and a lane's requests are numbered in it. Hardly any word
    /// that is something else passes for a badge.
    #[must_use]
    pub const fn is_word_of(word: u64, number: RequestNumber) -> bool {
        if word & Self::LANE != 0 {
            return word == Self::LANE | number.lane() as u64;
        }
        let id = word >> 56;
        let between = word >> 40 & 0xffff;
        id != 0 && id <= Service::ALL.len() as u64 && between == 0
    }

    /// The service, if the number is one.
    #[must_use]
    pub fn service(self) -> Option<Service> {
        Service::from_id(self.service)
    }
}

#[cfg(test)]
mod tests {
    use super::{Badge, Service};
    use abi::RequestNumber;

    #[test]
    fn ids_and_names_are_unique_and_round_trip() {
        for service in Service::ALL {
            assert_eq!(Service::from_id(service.id()), Some(service));
            assert_eq!(Service::from_name(service.name()), Some(service));
        }
        assert_eq!(Service::from_id(0), None);
        assert_eq!(Service::from_name("nobody"), None);
    }

    #[test]
    fn badge_round_trips_and_never_looks_like_a_lane() {
        for service in Service::ALL {
            let badge = Badge::new(service, u32::MAX);
            assert_eq!(Badge::from_word(badge.to_word()), badge);
            assert_eq!(badge.service(), Some(service));
            assert_eq!(badge.to_word() & Badge::LANE, 0);
            let word = badge.to_word_of_thread(7);
            assert_eq!((Badge::from_word(word), Badge::thread_of_word(word)), (badge, 7));
        }
    }

    #[test]
    fn words_that_are_no_badge_are_told() {
        let number = RequestNumber::new(Service::Posix.id(), 3, 9, 0);
        for service in Service::ALL {
            assert!(Badge::is_word_of(Badge::new(service, 1).to_word_of_thread(7), number));
        }
        assert!(Badge::is_word_of(Badge::LANE | 3, number));
        let address = 0x7000_0010_2000;
        for word in [0, 1, 0x41_8353, address, u64::MAX, Badge::LANE, Badge::LANE | 4, Badge::LANE | 1 << 40 | 3, number.0, 15 << 56 | 1] {
            assert!(!Badge::is_word_of(word, number), "{word:#x}");
        }
    }
}
