//! Whether instances still are what their images say.
//!
//! Text and constants never change, so a difference is a fault of the machine or of the kernel, and nobody else would ever notice: a wrong bit of text may give
//! wrong answers for as long as the instance lives. The supervisor alone has both, the image and the right to read. A pass compares page after page, in slices
//! that are too short to be felt; the first difference ends the instance, and nobody's request is blamed for it.
//!
//! A pass begins with each of the watchdog's samples and leaves out whoever did nothing since the last one: what did not run gave no wrong answers, and a
//! quiet machine stays quiet. Once a second, as the shipped manifest has it, that takes less than a thousandth of a busy processor, and an instance that was
//! altered serves for a second at most. Why not more often: what such a fault does in its first moments no pass prevents, however often it comes; what it would
//! do for days any does.
//!
//! Before a death has consequences for others, which is when a request is refused or a service given up for it, all instances are compared at once: who dies of the
//! answers of an altered one is innocent.
//!
//! Absent: what changes (data, heap, stacks, saved state), registers, page tables, the images themselves, which are checked once, at boot; and undoing what
//! went wrong before the difference was found.

use abi::boot::{Image, SEGMENT_WRITE};
use abi::{Error, PAGE_SIZE};
use protocols::crash::Cause;
use protocols::service::Badge;

use crate::kernel::Kernel;
use crate::life::{Blame, Supervisor};

/// How long comparing goes on at a time: some fifty pages.
const SLICE_US: u64 = 200;

/// How far a pass has come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pass {
    /// Place of the service among all.
    service: usize,
    /// The page that is next, among those of its image that never change.
    page: u64,
    /// The instance whose pages before it were compared.
    instance: u32,
}

/// The `nth` page of those that never change: its address, and what the image has for it; zeros follow.
fn constant_page<'a>(image: &Image<'a>, nth: u64) -> Option<(u64, &'a [u8])> {
    let mut before = 0;
    for segment in image.segments().filter(|segment| segment.flags & SEGMENT_WRITE == 0) {
        let page = nth - before;
        if page < u64::from(segment.pages) {
            let offset = page * PAGE_SIZE;
            let bytes = image.bytes(&segment).get(offset as usize..).unwrap_or_default();
            return Some((segment.address + offset, bytes.get(..PAGE_SIZE as usize).unwrap_or(bytes)));
        }
        before += u64::from(segment.pages);
    }
    None
}

/// The first place of a page that is not what the image says.
fn difference(kernel: &mut impl Kernel, space: u32, (address, bytes): (u64, &[u8])) -> Result<Option<u64>, Error> {
    let mut found = [0; PAGE_SIZE as usize];
    kernel.copy_from(space, address, &mut found)?;
    let (same, zeros) = found.split_at(bytes.len());
    if same == bytes && zeros.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let expected = bytes.iter().chain(core::iter::repeat(&0));
    Ok(found.iter().zip(expected).position(|(found, expected)| found != expected).map(|at| address + at as u64))
}

impl<K: Kernel> Supervisor<'_, K> {
    /// Lets a pass begin, unless one is under way.
    pub(crate) fn begin_pass(&mut self) {
        self.pass.get_or_insert_default();
    }

    /// Goes on with the pass for a slice. `true` while there is more to do: then the caller lets others run before it calls again.
    pub fn scrub(&mut self) -> bool {
        let end = self.after_us(SLICE_US);
        while let Some(pass) = self.pass.take() {
            self.pass = self.compare(pass);
            if self.kernel.now() >= end {
                return self.pass.is_some();
            }
        }
        false
    }

    /// Compares all instances, and ends those that are altered; whether there was one.
    pub(crate) fn end_altered(&mut self) -> bool {
        let mut found = false;
        for service in 0..self.services.len() {
            if let Some(address) = self.altered_at(service) {
                self.bury(service, None, Cause::Altered { address }, Blame::Culprit);
                found = true;
            }
        }
        found
    }

    fn altered_at(&mut self, service: usize) -> Option<u64> {
        let record = self.services.get(service)?;
        let space = record.body()?.0.block.space();
        let pages = (0..).map_while(|page| constant_page(&record.spec.image, page));
        pages.filter_map(|page| difference(&mut self.kernel, space, page).ok().flatten()).next()
    }

    /// Compares one page, or goes on to the next service; what is left of the pass.
    fn compare(&mut self, mut pass: Pass) -> Option<Pass> {
        let record = self.services.get_mut(pass.service)?;
        let next = Pass { service: pass.service + 1, ..Pass::default() };
        let Some((body, _)) = record.body() else { return Some(next) };
        if pass.page == 0 {
            if !record.watch.take_worked() {
                return Some(next);
            }
            pass.instance = record.instance;
        }
        let Some(page) = constant_page(&record.spec.image, pass.page).filter(|_| record.instance == pass.instance) else { return Some(next) };
        let from = Badge::new(record.spec.service, record.instance);
        match difference(&mut self.kernel, body.block.space(), page) {
            Ok(Some(address)) => {
                self.died(from, None, Cause::Altered { address });
                Some(next)
            }
            Ok(None) => Some(Pass { page: pass.page + 1, ..pass }),
            // What cannot be read cannot be run either: the instance says so itself.
            Err(_) => Some(next),
        }
    }
}

#[cfg(test)]
mod tests {
    use abi::PAGE_SIZE;
    use abi::boot::Image;
    use libsys::layout;

    use super::constant_page;
    use crate::tests::image_bytes;

    #[test]
    fn constant_pages_are_those_that_cannot_be_written() {
        let image = Image::open(image_bytes()).expect("an image");
        let pages: Vec<_> = (0..).map_while(|nth| constant_page(&image, nth)).map(|(address, bytes)| (address, bytes.len())).collect();
        assert_eq!(pages, [(layout::IMAGE, PAGE_SIZE as usize), (layout::IMAGE + PAGE_SIZE, 5000 - PAGE_SIZE as usize)]);
    }
}
