//! What [`super::Request::MapPages`] tells: a list of pages and holes, small in memory, because every reply is as large as the largest.
//!
//! On the wire it is a sequence of `Option<u32>`.

use core::fmt;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::MAX_MAPPED;

const _: () = assert!(MAX_MAPPED <= u32::BITS as usize, "a bit says whether a page is there");

/// Up to [`MAX_MAPPED`] pages or holes, in order.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Pages {
    numbers: [u32; MAX_MAPPED],
    /// Bit `n`: the `n`th one is a page. Of a hole, the number is 0.
    present: u32,
    count: u8,
}

impl Pages {
    /// Adds one; `false` if there is no room.
    #[must_use = "one that does not fit is not added"]
    pub fn push(&mut self, page: Option<u32>) -> bool {
        let index = usize::from(self.count);
        let Some(number) = self.numbers.get_mut(index) else { return false };
        if let Some(page) = page {
            *number = page;
            self.present |= 1 << index;
        }
        self.count += 1;
        true
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Each in turn: a page, or nothing for a hole.
    pub fn iter(&self) -> impl Iterator<Item = Option<u32>> + '_ {
        let present = self.present;
        self.numbers.iter().take(self.len()).enumerate().map(move |(index, number)| (present >> index & 1 != 0).then_some(*number))
    }
}

impl fmt::Debug for Pages {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.iter()).finish()
    }
}

impl Serialize for Pages {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sequence = serializer.serialize_seq(Some(self.len()))?;
        for page in self.iter() {
            sequence.serialize_element(&page)?;
        }
        sequence.end()
    }
}

impl<'de> Deserialize<'de> for Pages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Sequence;
        impl<'de> Visitor<'de> for Sequence {
            type Value = Pages;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "at most {MAX_MAPPED} pages")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Pages, A::Error> {
                let mut pages = Pages::default();
                while let Some(page) = sequence.next_element()? {
                    if !pages.push(page) {
                        return Err(A::Error::invalid_length(MAX_MAPPED + 1, &self));
                    }
                }
                Ok(pages)
            }
        }
        deserializer.deserialize_seq(Sequence)
    }
}

impl FromIterator<Option<u32>> for Pages {
    /// The first [`MAX_MAPPED`]; more are left out.
    fn from_iter<I: IntoIterator<Item = Option<u32>>>(pages: I) -> Self {
        let mut collected = Self::default();
        let _all = pages.into_iter().all(|page| collected.push(page));
        collected
    }
}

#[cfg(test)]
mod tests {
    use super::Pages;
    use crate::vfs::MAX_MAPPED;
    use crate::wire;

    #[test]
    fn pages_are_a_sequence_of_options() {
        let list = [Some(7), None, Some(u32::MAX)];
        let pages: Pages = list.into_iter().collect();
        let mut bytes = [0; 32];
        let length = wire::encode(&list.as_slice(), &mut bytes).expect("fits");
        assert_eq!(wire::decode::<Pages>(&bytes[..length]), Ok(pages.clone()));
        assert_eq!(pages.iter().collect::<Vec<_>>(), list);
    }

    #[test]
    fn one_page_too_many_is_malformed() {
        let mut bytes = [0; 64];
        let length = wire::encode(&[None::<u32>; MAX_MAPPED + 1].as_slice(), &mut bytes).expect("fits");
        assert!(wire::decode::<Pages>(&bytes[..length]).is_err());
    }
}
