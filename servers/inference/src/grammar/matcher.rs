//! Where a text is in its grammar: all ways at once, each a node and a stack of nodes to return to.
//!
//! Stacks are lists in a shared table of frames in which equal stacks are one, so ways compare by two numbers. Sets of ways are numbered
//! as they turn up, and remember which set each byte leads to: inside of a string of JSON, where most of a vocabulary fits, a byte costs one look.
//! When the table of sets or of frames is full, all is forgotten but what is in use.
//!
//! Bounds: ways in a set, frames, and for one [`Matcher::mask`] the steps that no memory saved. A grammar that exceeds one gets an error.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Deref;

use super::network::Node;
use super::{Grammar, Vocabulary};
use crate::error::Error;

/// Most ways at once.
const MOST_WAYS: usize = 1 << 10;
/// Most frames of all stacks.
const MOST_FRAMES: usize = 1 << 16;
/// Most sets that are remembered, of a kilobyte and their ways.
const MOST_SETS: usize = 1 << 10;
/// Most steps of one mask: a second or so.
const MOST_STEPS: usize = 1 << 23;

/// The stack of the whole text's rule.
const BOTTOM: u32 = u32::MAX;
/// A byte that has not been followed yet.
const UNKNOWN: u32 = u32::MAX;
/// The set without ways.
const NOWHERE: u32 = 0;

/// A node, and the stack above it.
type Way = (u32, u32);

/// Ways that the text may be on.
#[derive(Clone, Debug)]
struct Set {
    /// At byte ranges, or at the end of the whole text.
    ways: Vec<Way>,
    is_finished: bool,
    after: Vec<u32>,
}

/// A text's place in its grammar, which it borrows or shares.
#[derive(Clone, Debug)]
pub struct Matcher<G> {
    grammar: G,
    /// Where to return to, and the stack below.
    frames: Vec<Way>,
    frame_numbers: BTreeMap<Way, u32>,
    sets: Vec<Set>,
    set_numbers: BTreeMap<Vec<Way>, u32>,
    here: u32,
    steps: usize,
}

impl<G: Deref<Target = Grammar> + Clone> Matcher<G> {
    /// Before the first byte of a text.
    ///
    /// # Errors
    /// The grammar is too ambiguous.
    pub fn new(grammar: G) -> Result<Self, Error> {
        let mut matcher = Self {
            grammar,
            frames: Vec::new(),
            frame_numbers: BTreeMap::new(),
            sets: Vec::new(),
            set_numbers: BTreeMap::new(),
            here: NOWHERE,
            steps: 0,
        };
        matcher.number(Vec::new());
        let start = matcher.grammar.network.rules.first().map(|start| (*start, BOTTOM));
        matcher.here = matcher.close(start.into_iter().collect())?;
        Ok(matcher)
    }

    /// Whether the text may end here.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.sets[self.here as usize].is_finished
    }

    /// Goes on by `bytes`, and says whether the grammar allows them; if not, the text stays where it was.
    ///
    /// # Errors
    /// The grammar is too ambiguous, or nests too deep.
    pub fn advance(&mut self, bytes: &[u8]) -> Result<bool, Error> {
        let mut here = self.here;
        for byte in bytes {
            self.steps = 0;
            here = self.follow(here, *byte)?.0;
            if here == NOWHERE {
                return Ok(false);
            }
        }
        self.here = here;
        Ok(true)
    }

    /// Makes the logits of all tokens that cannot come next minus infinity.
    ///
    /// # Errors
    /// The grammar is too ambiguous, or nests too deep.
    pub fn mask(&mut self, vocabulary: &Vocabulary, logits: &mut [f32]) -> Result<(), Error> {
        self.steps = 0;
        let mut allowed = vec![false; logits.len()];
        // The sets after each byte of the token before, as far as it was followed, and where it was found not to fit.
        let (mut path, mut dead) = (vec![self.here], usize::MAX);
        for token in &vocabulary.tokens {
            if token.shared > dead {
                continue;
            }
            let text = vocabulary.text(token);
            dead = self.walk(text, token.shared, &mut path)?.unwrap_or(usize::MAX);
            if let Some(allowed) = allowed.get_mut(token.number as usize) {
                *allowed = dead == usize::MAX;
            }
        }
        if let Some(end) = vocabulary.end.and_then(|end| allowed.get_mut(end as usize)) {
            *end = self.is_finished();
        }
        logits.iter_mut().zip(allowed).filter(|(_, allowed)| !allowed).for_each(|(logit, _)| *logit = f32::NEG_INFINITY);
        Ok(())
    }

    /// Follows a token of which the first `shared` bytes have been followed already as far as `path` goes; the place of the byte that does not fit.
    fn walk(&mut self, text: &[u8], shared: usize, path: &mut Vec<u32>) -> Result<Option<usize>, Error> {
        path.truncate(shared + 1);
        let known = path.len() - 1;
        let mut here = path[known];
        let mut is_whole = true;
        for (at, byte) in text.iter().enumerate().skip(known) {
            let (next, forgot) = self.follow(here, *byte)?;
            if forgot {
                // What the path held has other numbers now; only its beginning is known.
                path.clear();
                path.push(self.here);
                is_whole = false;
            }
            if next == NOWHERE {
                return Ok(Some(at));
            }
            here = next;
            if is_whole {
                path.push(here);
            }
        }
        Ok(None)
    }

    /// The set after `byte`, and whether all sets but that one and the text's have been forgotten on the way.
    fn follow(&mut self, set: u32, byte: u8) -> Result<(u32, bool), Error> {
        let known = self.sets[set as usize].after[usize::from(byte)];
        if known != UNKNOWN {
            return Ok((known, false));
        }
        let is_full = |matcher: &Self| matcher.sets.len() >= MOST_SETS || matcher.frames.len() + MOST_WAYS > MOST_FRAMES;
        let (mut set, forgets) = (set, is_full(self));
        if forgets {
            set = self.forget(set);
            if is_full(self) {
                return Err(Error::Grammar("the text is nested too deep for its grammar".into()));
            }
        }
        let nodes = &self.grammar.network.nodes;
        let onward = |(node, stack): &Way| match nodes[*node as usize] {
            Node::Byte { first, last, next } if (first..=last).contains(&byte) => Some((next, *stack)),
            _ => None,
        };
        let ways = self.sets[set as usize].ways.iter().filter_map(onward).collect();
        let next = self.close(ways)?;
        self.sets[set as usize].after[usize::from(byte)] = next;
        Ok((next, forgets))
    }

    /// The set of all ways to which those in `todo` lead without a byte.
    fn close(&mut self, mut todo: Vec<Way>) -> Result<u32, Error> {
        let (mut seen, mut ways) = (BTreeSet::new(), Vec::new());
        let grammar = self.grammar.clone();
        let network = &grammar.network;
        while let Some((node, stack)) = todo.pop() {
            if !seen.insert((node, stack)) {
                continue;
            }
            self.steps += 1;
            if seen.len() > MOST_WAYS || self.steps > MOST_STEPS {
                return Err(Error::Grammar("the grammar is too ambiguous".into()));
            }
            match network.nodes[node as usize] {
                Node::Byte { .. } => ways.push((node, stack)),
                Node::Branch(one, other) => todo.extend([(one, stack), (other, stack)]),
                Node::Call { rule, next } => {
                    // A call at the end of a rule needs no return to it: repetition by recursion takes no room.
                    let is_last = network.nodes[next as usize] == Node::End;
                    let above = if is_last { stack } else { self.frame((next, stack)) };
                    todo.push((network.rules[rule as usize], above));
                }
                Node::End if stack == BOTTOM => ways.push((node, stack)),
                Node::End => todo.push(self.frames[stack as usize]),
            }
        }
        ways.sort_unstable();
        Ok(self.number(ways))
    }

    /// The stack with `frame` on top.
    fn frame(&mut self, frame: Way) -> u32 {
        *self.frame_numbers.entry(frame).or_insert_with(|| {
            self.frames.push(frame);
            self.frames.len() as u32 - 1
        })
    }

    /// The number of a set.
    fn number(&mut self, ways: Vec<Way>) -> u32 {
        if let Some(number) = self.set_numbers.get(&ways) {
            return *number;
        }
        let number = self.sets.len() as u32;
        let is_finished = ways.iter().any(|(node, _)| self.grammar.network.nodes[*node as usize] == Node::End);
        self.sets.push(Set { ways: ways.clone(), is_finished, after: vec![UNKNOWN; 256] });
        self.set_numbers.insert(ways, number);
        number
    }

    /// Forgets all sets and frames but those of `set` and of the text's place; the new number of `set`.
    fn forget(&mut self, set: u32) -> u32 {
        let kept = [self.here, set].map(|set| core::mem::take(&mut self.sets[set as usize].ways));
        let kept = if set == self.here { [kept[0].clone(), kept[0].clone()] } else { kept };
        let frames = core::mem::take(&mut self.frames);
        self.frame_numbers.clear();
        self.sets.clear();
        self.set_numbers.clear();
        self.number(Vec::new());
        let mut moved = BTreeMap::from([(BOTTOM, BOTTOM)]);
        let numbers = kept.map(|ways| {
            let mut ways: Vec<Way> = ways.into_iter().map(|(node, stack)| (node, self.moved(stack, &frames, &mut moved))).collect();
            ways.sort_unstable();
            self.number(ways)
        });
        self.steps += self.frames.len();
        self.here = numbers[0];
        numbers[1]
    }

    /// The new number of a stack in the old `frames`.
    fn moved(&mut self, stack: u32, frames: &[Way], moved: &mut BTreeMap<u32, u32>) -> u32 {
        let (mut chain, mut at) = (Vec::new(), stack);
        let mut below = loop {
            if let Some(number) = moved.get(&at) {
                break *number;
            }
            chain.push(at);
            at = frames[at as usize].1;
        };
        for old in chain.into_iter().rev() {
            below = self.frame((frames[old as usize].0, below));
            moved.insert(old, below);
        }
        below
    }
}
