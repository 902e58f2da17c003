//! Where tests let the console die.
//!
//! Points of a numbered request: `intent`, nothing changed yet; `effect`, changed but not recorded; `record`, recorded but not committed; `reply`, committed but not
//! answered. A script write has its effect on a port, after its record is committed. Moving bytes over the line has its own points.

libsys::failpoints! {
    /// The console's failpoints.
    pub enum Point {
        ReadIntent => "read.intent",
        ReadEffect => "read.effect",
        ReadRecord => "read.record",
        ReadReply => "read.reply",
        WriteIntent => "write.intent",
        WriteEffect => "write.effect",
        WriteRecord => "write.record",
        WriteReply => "write.reply",
        ModesIntent => "modes.intent",
        ModesEffect => "modes.effect",
        ModesRecord => "modes.record",
        ModesReply => "modes.reply",
        FlushIntent => "flush.intent",
        FlushEffect => "flush.effect",
        FlushRecord => "flush.record",
        FlushReply => "flush.reply",
        ScriptIntent => "script.intent",
        ScriptRecord => "script.record",
        /// The piece is recorded as written, and not on its port yet.
        ScriptEffect => "script.effect",
        ScriptReply => "script.reply",
        /// A byte was taken from the line, and is not in the ring.
        Receiving => "line.receiving",
        /// Bytes of the line are in the ring.
        Received => "line.received",
        /// Bytes of the ring are about to go to the line.
        Sending => "line.sending",
        /// Bytes of the ring are on the line, and not gone from the ring.
        Transmitted => "line.transmitted",
        /// Bytes of the ring are on the line, and gone from the ring.
        Sent => "line.sent",
    }
}

impl Point {
    /// Passes the point.
    pub fn hit(self) {
        libsys::fail::hit(self);
    }
}
