//! Failpoints: named places where a test lets a server die.
//!
//! They are compiled into every build, so that what is tested is what runs. One failpoint at most is armed in an instance, by its start
//! information; an unarmed hit costs one load. A server lists its points with [`failpoints!`](crate::failpoints), and a test walks the
//! list, so a new point is tested the day it is written.

use core::fmt::{self, Write as _};
#[cfg(target_os = "none")]
use core::sync::atomic::{AtomicU32, Ordering};

#[cfg(target_os = "none")]
use crate::once::Once;

/// A server's failpoints. Made by [`failpoints!`](crate::failpoints).
pub trait Failpoint: Copy + fmt::Debug + 'static {
    /// All of them.
    const ALL: &'static [Self];

    /// The name that arms it.
    fn name(self) -> &'static str;
}

/// Defines an enum of failpoints: `failpoints! { /// Docs. pub enum Point { WriteIntent => "write.intent" } }`. Its documentation may be
/// left out for points.
#[macro_export]
macro_rules! failpoints {
    ($(#[$attribute:meta])* $visibility:vis enum $name:ident { $($(#[$point_attribute:meta])* $point:ident => $text:literal),+ $(,)? }) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $visibility enum $name {
            $($(#[$point_attribute])* #[doc = ::core::concat!("`", $text, "`")] $point),+
        }

        impl $name {
            /// All of them.
            $visibility const ALL: &'static [Self] = &[$(Self::$point),+];

            /// The name that arms it.
            #[must_use]
            $visibility const fn name(self) -> &'static str {
                match self {
                    $(Self::$point => $text),+
                }
            }
        }

        impl $crate::fail::Failpoint for $name {
            const ALL: &'static [Self] = Self::ALL;

            fn name(self) -> &'static str {
                self.name()
            }
        }
    };
}

#[cfg(target_os = "none")]
static POINT: Once<heapless::String<{ protocols::supervisor::MAX_POINT }>> = Once::new();
#[cfg(target_os = "none")]
static LEFT: AtomicU32 = AtomicU32::new(0);

/// Arms the failpoint `name`: it fires when it is hit for the `nth` time, counted from 1. On the host tests use
/// `libsys::host::crash_at_failpoint`.
pub fn arm(name: &str, nth: u32) {
    #[cfg(target_os = "none")]
    if let Ok(name) = heapless::String::try_from(name) {
        POINT.set(name);
        LEFT.store(nth, Ordering::Release);
    }
    #[cfg(not(target_os = "none"))]
    let _on_the_host = (name, nth);
}

/// Whether a failpoint is armed that was not reached yet: for one who would have to look up which one it passes.
#[must_use]
#[inline(always)]
pub fn is_armed() -> bool {
    #[cfg(target_os = "none")]
    let armed = LEFT.load(Ordering::Acquire) != 0;
    #[cfg(not(target_os = "none"))]
    let armed = true;
    armed
}

/// Passes `point`; does not return if it is armed and this is its time.
#[inline(always)]
pub fn hit(point: impl Failpoint) {
    if is_armed() {
        pass(point.name(), || {});
    }
}

/// Passes the point `OPERATION.STEP` of a server whose operations are a table of their own; `last` is done before it dies there. Names that no one can arm do nothing.
#[cold]
pub fn hit_step(operation: &str, step: &str, last: impl FnOnce()) {
    let mut name = heapless::String::<{ protocols::supervisor::MAX_POINT }>::new();
    if write!(name, "{operation}.{step}").is_ok() {
        pass(&name, last);
    }
}

#[cold]
fn pass(name: &str, last: impl FnOnce()) {
    if fires(name) {
        last();
        crate::log!("failpoint {name}");
        crate::entry::die();
    }
}

#[cfg(target_os = "none")]
fn fires(name: &str) -> bool {
    if POINT.get().is_none_or(|point| point != name) {
        return false;
    }
    LEFT.fetch_sub(1, Ordering::AcqRel) == 1
}

#[cfg(not(target_os = "none"))]
fn fires(name: &str) -> bool {
    crate::host::fires(name)
}

#[cfg(test)]
mod tests {
    use super::{hit, hit_step};
    use crate::host::crash_at_failpoint;

    failpoints! {
        /// Two places.
        enum Point {
            Intent => "write.intent",
            Effect => "write.effect",
        }
    }

    #[test]
    fn unarmed_points_do_nothing() {
        Point::ALL.iter().for_each(|point| hit(*point));
    }

    #[test]
    fn armed_point_fires_at_its_nth_hit_and_no_other_does() {
        let mut passed = 0;
        let end = crash_at_failpoint("write.effect", 3, || {
            for _ in 0..5 {
                hit(Point::Intent);
                hit(Point::Effect);
                passed += 1;
            }
        });
        assert_eq!((end, passed), (None, 2));
    }

    #[test]
    fn step_of_an_operation_is_a_point_and_what_is_last_is_done_before_it() {
        let mut done = 0;
        assert_eq!(crash_at_failpoint("read.reply", 1, || hit_step("read", "reply", || done += 1)), None);
        hit_step("read", "reply", || done += 1);
        assert_eq!(done, 1);
    }

    #[test]
    fn point_is_disarmed_after_the_run() {
        assert_eq!(crash_at_failpoint("write.effect", 1, || hit(Point::Effect)), None);
        hit(Point::Effect);
    }

    #[test]
    fn names_are_those_of_the_list() {
        assert_eq!(Point::ALL.iter().map(|point| point.name()).collect::<std::vec::Vec<_>>(), ["write.intent", "write.effect"]);
    }
}
