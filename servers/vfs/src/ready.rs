//! Whether what an attempt needs is there, or has to be fetched first.
//!
//! In a file system of memory everything is there, always. The option `vfs-pending=SEED` pretends otherwise: about every fourth inode and page is missing when it
//! is first asked for, the attempt stops with [`Error::Pending`], and the thing counts as fetched until several thousand others were, or `COUNT` of them with
//! `vfs-pending=SEED:COUNT`. Which ones are missing is a function of the seed alone, so a failure can be repeated.
//!
//! Nothing here is saved: a restarted vfs has fetched nothing, which must not matter.

use alloc::collections::BTreeSet;

use protocols::vfs::Error;

/// How many fetched things are remembered unless the option says: more than one attempt can need (the pages of a transfer, the parts of two paths).
const REMEMBERED: usize = 4096;
/// One in so many is missing.
const MISSING: u64 = 4;
/// Name of the option.
const OPTION: &str = "vfs-pending=";

/// What is there.
#[derive(Debug, Default)]
pub struct Readiness {
    seed: Option<u64>,
    remembered: usize,
    fetched: BTreeSet<u64>,
    rounds: u64,
    put_off: u64,
}

impl Readiness {
    /// As this run's options say: one `key=value` a line.
    #[must_use]
    pub fn from_options(options: &str) -> Self {
        let value = options.lines().find_map(|line| line.trim().strip_prefix(OPTION)).unwrap_or_default();
        let (seed, remembered) = value.split_once(':').map_or((value, None), |(seed, count)| (seed, count.parse().ok()));
        Self { seed: seed.parse().ok(), remembered: remembered.unwrap_or(REMEMBERED), ..Self::default() }
    }

    /// Pretends, with this seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self { seed: Some(seed), remembered: REMEMBERED, ..Self::default() }
    }

    /// Asks for an inode and what belongs to it: its directory entries, what a link says.
    ///
    /// # Errors
    /// [`Error::Pending`].
    pub fn inode(&mut self, number: u32) -> Result<(), Error> {
        self.need(u64::from(number) << 32 | 0xffff_ffff)
    }

    /// Asks for a page of a file.
    ///
    /// # Errors
    /// [`Error::Pending`].
    pub fn data(&mut self, number: u32, page: u64) -> Result<(), Error> {
        self.need(u64::from(number) << 32 | page & 0x7fff_ffff)
    }

    fn need(&mut self, key: u64) -> Result<(), Error> {
        let Some(seed) = self.seed else { return Ok(()) };
        if self.fetched.contains(&key) || !mix(seed ^ mix(key ^ self.rounds << 48)).is_multiple_of(MISSING) {
            return Ok(());
        }
        if self.fetched.len() >= self.remembered {
            self.fetched.clear();
            self.rounds += 1;
        }
        self.fetched.insert(key);
        self.put_off += 1;
        if self.put_off.is_power_of_two() {
            libsys::log!("{} attempts put off, seed {seed}", self.put_off);
        }
        Err(Error::Pending(key))
    }
}

/// The finaliser of SplitMix64.
const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

#[cfg(test)]
mod tests {
    use super::Readiness;

    #[test]
    fn everything_is_there_without_the_option() {
        let mut ready = Readiness::from_options("script=/x\nslowpath");
        assert!((0..1000).all(|number| ready.inode(number).is_ok() && ready.data(number, 3).is_ok()));
    }

    #[test]
    fn what_was_missing_is_there_at_the_next_attempt() {
        let mut ready = Readiness::from_options("script=/x\nvfs-pending=7\n");
        let missing = (0..1000).filter(|page| ready.data(1, *page).is_err()).count();
        assert!((150..350).contains(&missing));
        assert!((0..1000).all(|page| ready.data(1, page).is_ok()));
    }

    #[test]
    fn no_more_is_remembered_than_the_option_says() {
        let mut ready = Readiness::from_options("vfs-pending=7:10");
        let missing = |ready: &mut Readiness| (0..1000).filter(|page| ready.data(1, *page).is_err()).count();
        assert!((150..350).contains(&missing(&mut ready)));
        assert!(missing(&mut ready) > 100, "all but the last ten were forgotten");
    }

    #[test]
    fn seed_alone_decides_what_is_missing() {
        let missing = |seed| (0..100).map(|page| Readiness::seeded(seed).data(1, page).is_err()).collect::<Vec<_>>();
        assert_eq!(missing(1), missing(1));
        assert_ne!(missing(1), missing(2));
    }
}
