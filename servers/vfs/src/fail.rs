//! The places where tests let vfs die: four in each numbered request.
//!
//! *intent*: the request is known, nothing was done. *effect*: it was done, in a transaction that is open. *record*: its result is kept too, and nothing is
//! committed. *reply*: all is committed, nothing was answered. Three more stand where a commit leaves work for later.

use libsys::fail::hit;
use protocols::vfs::Request;

libsys::failpoints! {
    /// A failpoint of vfs.
    pub enum Point {
        OpenIntent => "open.intent",
        OpenEffect => "open.effect",
        OpenRecord => "open.record",
        OpenReply => "open.reply",
        HoldIntent => "hold.intent",
        HoldEffect => "hold.effect",
        HoldRecord => "hold.record",
        HoldReply => "hold.reply",
        CloseIntent => "close.intent",
        CloseEffect => "close.effect",
        CloseRecord => "close.record",
        CloseReply => "close.reply",
        WriteIntent => "write.intent",
        WriteEffect => "write.effect",
        WriteRecord => "write.record",
        WriteReply => "write.reply",
        TruncateIntent => "truncate.intent",
        TruncateEffect => "truncate.effect",
        TruncateRecord => "truncate.record",
        TruncateReply => "truncate.reply",
        SetAttributesIntent => "attributes.intent",
        SetAttributesEffect => "attributes.effect",
        SetAttributesRecord => "attributes.record",
        SetAttributesReply => "attributes.reply",
        MakeDirectoryIntent => "mkdir.intent",
        MakeDirectoryEffect => "mkdir.effect",
        MakeDirectoryRecord => "mkdir.record",
        MakeDirectoryReply => "mkdir.reply",
        RemoveDirectoryIntent => "rmdir.intent",
        RemoveDirectoryEffect => "rmdir.effect",
        RemoveDirectoryRecord => "rmdir.record",
        RemoveDirectoryReply => "rmdir.reply",
        UnlinkIntent => "unlink.intent",
        UnlinkEffect => "unlink.effect",
        UnlinkRecord => "unlink.record",
        UnlinkReply => "unlink.reply",
        RenameIntent => "rename.intent",
        RenameEffect => "rename.effect",
        RenameRecord => "rename.record",
        RenameReply => "rename.reply",
        LinkIntent => "link.intent",
        LinkEffect => "link.effect",
        LinkRecord => "link.record",
        LinkReply => "link.reply",
        MakeSymlinkIntent => "symlink.intent",
        MakeSymlinkEffect => "symlink.effect",
        MakeSymlinkRecord => "symlink.record",
        MakeSymlinkReply => "symlink.reply",
        MakeNodeIntent => "mknod.intent",
        MakeNodeEffect => "mknod.effect",
        MakeNodeRecord => "mknod.record",
        MakeNodeReply => "mknod.reply",
        PunchIntent => "punch.intent",
        PunchEffect => "punch.effect",
        PunchRecord => "punch.record",
        PunchReply => "punch.reply",
        /// Between the steps in which a range of a file becomes a hole.
        SettleHole => "settle.hole",
        /// Between the steps in which pages of a cut file are freed.
        SettleCut => "settle.cut",
        /// Between the steps in which a file that nobody needs is freed.
        SettleFree => "settle.free",
        /// Between the entries of the root file system.
        UnpackEntry => "unpack.entry",
    }
}

/// The failpoints of one request, in the order in which they are passed. Those of a request that may run twice do nothing.
#[derive(Clone, Copy, Debug)]
pub struct Points(Option<[Point; 4]>);

impl Points {
    /// Of a request.
    #[must_use]
    pub const fn of(request: &Request<'_>) -> Self {
        Self(Some(match request {
            Request::Open { .. } | Request::OpenWithin { .. } => [Point::OpenIntent, Point::OpenEffect, Point::OpenRecord, Point::OpenReply],
            Request::Hold(_) => [Point::HoldIntent, Point::HoldEffect, Point::HoldRecord, Point::HoldReply],
            Request::Close(_) => [Point::CloseIntent, Point::CloseEffect, Point::CloseRecord, Point::CloseReply],
            Request::Write { .. } => [Point::WriteIntent, Point::WriteEffect, Point::WriteRecord, Point::WriteReply],
            Request::Truncate { .. } => [Point::TruncateIntent, Point::TruncateEffect, Point::TruncateRecord, Point::TruncateReply],
            Request::SetAttributes { .. } => {
                [Point::SetAttributesIntent, Point::SetAttributesEffect, Point::SetAttributesRecord, Point::SetAttributesReply]
            }
            Request::MakeDirectory { .. } => {
                [Point::MakeDirectoryIntent, Point::MakeDirectoryEffect, Point::MakeDirectoryRecord, Point::MakeDirectoryReply]
            }
            Request::RemoveDirectory { .. } => {
                [Point::RemoveDirectoryIntent, Point::RemoveDirectoryEffect, Point::RemoveDirectoryRecord, Point::RemoveDirectoryReply]
            }
            Request::Unlink { .. } => [Point::UnlinkIntent, Point::UnlinkEffect, Point::UnlinkRecord, Point::UnlinkReply],
            Request::Rename { .. } => [Point::RenameIntent, Point::RenameEffect, Point::RenameRecord, Point::RenameReply],
            Request::Link { .. } => [Point::LinkIntent, Point::LinkEffect, Point::LinkRecord, Point::LinkReply],
            Request::MakeSymlink { .. } => [Point::MakeSymlinkIntent, Point::MakeSymlinkEffect, Point::MakeSymlinkRecord, Point::MakeSymlinkReply],
            Request::MakeNode { .. } => [Point::MakeNodeIntent, Point::MakeNodeEffect, Point::MakeNodeRecord, Point::MakeNodeReply],
            Request::Punch { .. } => [Point::PunchIntent, Point::PunchEffect, Point::PunchRecord, Point::PunchReply],
            _ => return Self(None),
        }))
    }

    /// Whether it has any.
    #[must_use]
    pub const fn are_there(self) -> bool {
        self.0.is_some()
    }

    /// Nothing was done.
    pub fn intent(self) {
        self.pass(0);
    }

    /// It was done, in a transaction that is open.
    pub fn effect(self) {
        self.pass(1);
    }

    /// Its result is kept, nothing is committed.
    pub fn record(self) {
        self.pass(2);
    }

    /// All is committed, nothing was answered.
    pub fn reply(self) {
        self.pass(3);
    }

    fn pass(self, index: usize) {
        if let Some(point) = self.0.as_ref().and_then(|points| points.get(index)) {
            hit(*point);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Point, Points};
    use protocols::vfs::{FileId, Request};

    #[test]
    fn points_of_a_request_are_its_own() {
        let points = Points::of(&Request::Close(FileId::default())).0;
        assert_eq!(points.map(|points| points.map(Point::name)), Some(["close.intent", "close.effect", "close.record", "close.reply"]));
        assert!(Points::of(&Request::Sync).0.is_none());
    }
}
