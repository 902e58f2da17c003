//! What the victim remembers: the number of the request that it died of last.

use libsys::saved::Cell;

libsys::saved_state! {
    /// The number, once there is one.
    pub struct Remembered: 1 {
        /// 1 when `number` is one.
        pub marked: Cell<u64>,
        /// The request's number.
        pub number: Cell<u64>,
    }
}
