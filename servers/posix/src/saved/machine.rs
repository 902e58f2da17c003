//! What is kept about the machine as a whole.

libsys::plain! {
    /// A name of the machine.
    pub struct Name {
        /// Its bytes, as words; zeros behind it.
        pub words: [u64; 8],
        /// Whether it was set: until then it is the one that the machine starts with.
        pub is_set: u64,
    }

    /// The load of the machine: see [`crate::load`]. A record of its own, because it changes often.
    pub struct Load {
        /// Over 1, 5 and 15 minutes, with [`crate::load::FRACTION_BITS`].
        pub averages: [u64; 3],
        /// When the last sample was due (ns).
        pub sampled_ns: u64,
        /// Threads that are active since the last change.
        pub active: u64,
    }

    /// What threads that are no more had done on a processor, in ticks. One that moved takes what it had done with it, so that either may be less than 0, modulo 2^64:
    /// with those of the threads that are, the sum is right.
    pub struct Worked {
        /// In user code.
        pub user: u64,
        /// On their behalf.
        pub system: u64,
    }
}
