//! What is left to do after a commit: pages of files that were cut, files that nothing names or opens, memory behind pages that hold nothing.
//!
//! An operation only notes such work, in its own transaction; here it is done in steps, each a small transaction that leaves the note until the last. It is done
//! before the next request, and before the first one after a restart, so no operation ever meets a note.

use libsys::fail::hit;
use libsys::saved::Area;
use protocols::vfs::{Error, Within};

use crate::attempt::Attempt;
use crate::fail::Point;
use crate::host::{Host, PAGE};
use crate::index::{Cut, WAYS};
use crate::inode::OPENERS;
use crate::ready::Readiness;
use crate::saved::{Hole, State};

/// So many pages of memory are kept behind free pages, for the next files.
pub const KEPT_IDLE: u32 = 1024;

/// Does all that is noted, then gives memory back if there is much.
///
/// # Errors
/// [`Error::Damaged`].
pub fn settle<H: Host>(area: &Area<State>, host: &mut H) -> Result<(), Error> {
    while area.state().cut.get() != 0 {
        step(area, host, cut_step)?;
        hit(Point::SettleCut);
    }
    while area.state().hole.get().file != 0 {
        step(area, host, hole_step)?;
        hit(Point::SettleHole);
    }
    while area.state().doomed.get() != 0 {
        step(area, host, doom_step)?;
        hit(Point::SettleFree);
    }
    if area.state().pages.idle_count() > KEPT_IDLE {
        give_back(area, host);
    }
    Ok(())
}

fn step<H: Host>(area: &Area<State>, host: &mut H, work: fn(&mut Attempt<'_, H>) -> Result<(), Error>) -> Result<(), Error> {
    let tx = area.begin();
    let now = host.now();
    let ready = &mut Readiness::default();
    work(&mut Attempt {
        state: area.state(),
        tx: &tx,
        host,
        ready,
        now,
        opener: OPENERS,
        room: 0,
        rest: alloc::vec::Vec::new(),
        within: Within::default(),
    })?;
    tx.commit();
    Ok(())
}

fn cut_step<H: Host>(attempt: &mut Attempt<'_, H>) -> Result<(), Error> {
    let number = attempt.state.cut.get();
    let mut inode = attempt.state.inode(number)?;
    let keep = inode.size.div_ceil(PAGE as u64);
    if attempt.state.cut_step(attempt.tx, &mut inode, keep)? == Cut::Finished {
        attempt.clear_tail(number, &inode)?;
        attempt.state.cut.set(attempt.tx, 0);
    }
    attempt.put(number, &inode)
}

/// Frees pages of one range of a node's size.
fn hole_step<H: Host>(attempt: &mut Attempt<'_, H>) -> Result<(), Error> {
    let mut hole = attempt.state.hole.get();
    let mut inode = attempt.state.inode(hole.file)?;
    for _ in 0..WAYS {
        match attempt.state.next_page(&inode, hole.first)?.filter(|page| *page < hole.end) {
            Some(page) => {
                attempt.state.remove_page(attempt.tx, &mut inode, page)?;
                hole.first = page + 1;
            }
            None => {
                attempt.put(hole.file, &inode)?;
                attempt.state.hole.set(attempt.tx, Hole::default());
                return Ok(());
            }
        }
    }
    attempt.state.hole.set(attempt.tx, hole);
    attempt.put(hole.file, &inode)
}

fn doom_step<H: Host>(attempt: &mut Attempt<'_, H>) -> Result<(), Error> {
    let number = attempt.state.doomed.get();
    let mut inode = attempt.state.inode(number)?;
    if attempt.state.cut_step(attempt.tx, &mut inode, 0)? == Cut::More {
        return attempt.put(number, &inode);
    }
    if inode.target != 0 {
        attempt.state.free_text(attempt.tx, inode.target, inode.text_length())?;
    }
    attempt.state.doomed.set(attempt.tx, inode.next);
    attempt.state.free_inode(attempt.tx, number)
}

/// Gives the memory behind free pages back, and with it makes those usable again that programs still share. `true` if there was any.
pub fn give_back<H: Host>(area: &Area<State>, host: &mut H) -> bool {
    let pages = &area.state().pages;
    let mut any = false;
    let mut from = 0;
    while let Some(run) = pages.next_idle(from) {
        if !host.discard(run.first, run.count) {
            return any;
        }
        let tx = area.begin();
        pages.discarded(&tx, run);
        tx.commit();
        from = run.first + run.count;
        any = true;
    }
    any
}
