//! A grammar as a network: byte ranges, branches, calls of rules and their ends.
//!
//! Parts are made from the end to the beginning, each knowing where it leads. A class of characters is a rule of its own, made once, so that a
//! class that is repeated a thousand times costs a thousand calls and not a thousand copies. No rule can call itself before it
//! has matched a byte: with that, following calls and branches ends.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use super::gbnf::{Alternatives, Item, Rules};
use super::utf8;
use crate::error::Error;

/// Most nodes, 12 bytes each.
const MOST_NODES: usize = 1 << 16;
/// Most parts to make, as repetitions of nothing make no nodes.
const MOST_PARTS: usize = 1 << 18;
/// What a way through the network is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// One byte, then `next`; `first > last` is a byte that there is not.
    Byte { first: u8, last: u8, next: u32 },
    /// Both ways.
    Branch(u32, u32),
    /// The rule, then `next`.
    Call { rule: u32, next: u32 },
    /// The end of a rule.
    End,
}

/// The nodes, and where each rule begins; the first one is the whole text.
#[derive(Clone, Debug)]
pub(super) struct Network {
    pub(super) nodes: Vec<Node>,
    pub(super) rules: Vec<u32>,
}

impl Network {
    pub(super) fn new(rules: &Rules) -> Result<Self, Error> {
        let network = Self { nodes: vec![Node::End], rules: vec![0; rules.rules.len()] };
        let mut maker = Maker { network, classes: BTreeMap::new(), parts: 0 };
        for (number, alternatives) in rules.rules.iter().enumerate() {
            let start = maker.alternatives(alternatives, 0)?;
            maker.network.rules[number] = start;
        }
        match maker.network.left_recursive() {
            Some(rule) => Err(Error::Grammar(format!("rule {} begins with itself", rules.names[rule]))),
            None => Ok(maker.network),
        }
    }

    /// From which nodes the end of the rule can be reached without a byte.
    fn passable(&self) -> Vec<bool> {
        let start = |rule: u32| self.rules[rule as usize];
        let mut users = vec![Vec::new(); self.nodes.len()];
        for (number, node) in (0_u32..).zip(&self.nodes) {
            match *node {
                Node::Branch(one, other) => [one, other].iter().for_each(|way| users[*way as usize].push(number)),
                Node::Call { rule, next } => [start(rule), next].iter().for_each(|way| users[*way as usize].push(number)),
                Node::Byte { .. } | Node::End => {}
            }
        }
        let mut passable: Vec<bool> = self.nodes.iter().map(|node| *node == Node::End).collect();
        let mut todo: Vec<usize> = (0..passable.len()).filter(|node| passable[*node]).collect();
        while let Some(node) = todo.pop() {
            for user in users[node].iter().map(|user| *user as usize) {
                let now = match self.nodes[user] {
                    Node::Call { rule, next } => passable[start(rule) as usize] && passable[next as usize],
                    _ => true,
                };
                if now && !passable[user] {
                    passable[user] = true;
                    todo.push(user);
                }
            }
        }
        passable
    }

    /// Rules called from the beginning of `rule` before a byte is matched.
    fn beginnings(&self, rule: usize, passable: &[bool]) -> Vec<usize> {
        let (mut seen, mut called) = (BTreeSet::new(), Vec::new());
        let mut todo = vec![self.rules[rule]];
        while let Some(at) = todo.pop() {
            if !seen.insert(at) {
                continue;
            }
            match self.nodes[at as usize] {
                Node::Branch(one, other) => todo.extend([one, other]),
                Node::Call { rule, next } => {
                    called.push(rule as usize);
                    todo.extend(passable[self.rules[rule as usize] as usize].then_some(next));
                }
                Node::Byte { .. } | Node::End => {}
            }
        }
        called
    }

    /// A rule that can call itself before a byte is matched: what is left when again and again those are taken away that call none of the rest.
    fn left_recursive(&self) -> Option<usize> {
        let passable = self.passable();
        let called: Vec<Vec<usize>> = (0..self.rules.len()).map(|rule| self.beginnings(rule, &passable)).collect();
        let mut callers = vec![Vec::new(); called.len()];
        called.iter().enumerate().for_each(|(rule, called)| called.iter().for_each(|other| callers[*other].push(rule)));
        let mut open: Vec<usize> = called.iter().map(Vec::len).collect();
        let mut todo: Vec<usize> = (0..open.len()).filter(|rule| open[*rule] == 0).collect();
        while let Some(rule) = todo.pop() {
            for caller in &callers[rule] {
                open[*caller] -= 1;
                todo.extend((open[*caller] == 0).then_some(*caller));
            }
        }
        // From a rule that is left every way leads on among those that are left, so after as many steps as there are rules it is in a circle.
        let onward = |rule: usize| called[rule].iter().copied().find(|other| open[*other] > 0);
        let start = (0..open.len()).find(|rule| open[*rule] > 0)?;
        (0..open.len()).try_fold(start, |rule, _| onward(rule))
    }
}

/// A network in the making.
struct Maker {
    network: Network,
    classes: BTreeMap<Vec<(u32, u32)>, u32>,
    parts: usize,
}

impl Maker {
    fn push(&mut self, node: Node) -> Result<u32, Error> {
        if self.network.nodes.len() >= MOST_NODES {
            return Err(Error::Grammar("the grammar is too large".into()));
        }
        self.network.nodes.push(node);
        Ok(self.network.nodes.len() as u32 - 1)
    }

    /// A branch to all of `ways`; to a byte that there is not for none.
    fn branch(&mut self, ways: &[u32]) -> Result<u32, Error> {
        let Some((last, others)) = ways.split_last() else { return self.push(Node::Byte { first: 1, last: 0, next: 0 }) };
        others.iter().rev().try_fold(*last, |rest, way| self.push(Node::Branch(*way, rest)))
    }

    fn alternatives(&mut self, all: &Alternatives, next: u32) -> Result<u32, Error> {
        let mut ways = Vec::new();
        for sequence in all {
            ways.push(sequence.iter().rev().try_fold(next, |next, item| self.item(item, next))?);
        }
        self.branch(&ways)
    }

    fn item(&mut self, item: &Item, next: u32) -> Result<u32, Error> {
        self.parts += 1;
        if self.parts > MOST_PARTS {
            return Err(Error::Grammar("the grammar repeats too much".into()));
        }
        match item {
            Item::Text(bytes) => bytes.iter().rev().try_fold(next, |next, byte| self.push(Node::Byte { first: *byte, last: *byte, next })),
            Item::Class(ranges) => self.class(ranges, next),
            Item::Rule(rule) => self.push(Node::Call { rule: *rule as u32, next }),
            Item::Group(alternatives) => self.alternatives(alternatives, next),
            Item::Repeat { item, least, most } => self.repeat(item, *least, *most, next),
        }
    }

    fn repeat(&mut self, item: &Item, least: u32, most: Option<u32>, end: u32) -> Result<u32, Error> {
        let mut next = end;
        match most {
            None => {
                next = self.push(Node::End)?;
                let again = self.item(item, next)?;
                self.network.nodes[next as usize] = Node::Branch(again, end);
            }
            Some(most) => {
                for _ in least..most {
                    let once = self.item(item, next)?;
                    next = self.push(Node::Branch(once, end))?;
                }
            }
        }
        (0..least).try_fold(next, |next, _| self.item(item, next))
    }

    fn class(&mut self, ranges: &[(u32, u32)], next: u32) -> Result<u32, Error> {
        if let [(low, high)] = ranges
            && let (Ok(first), Ok(last)) = (u8::try_from(*low), u8::try_from(*high))
            && last.is_ascii()
        {
            return self.push(Node::Byte { first, last, next });
        }
        let rule = match self.classes.get(ranges) {
            Some(rule) => *rule,
            None => self.class_rule(ranges)?,
        };
        self.push(Node::Call { rule, next })
    }

    /// The rule that is a class of characters.
    fn class_rule(&mut self, ranges: &[(u32, u32)]) -> Result<u32, Error> {
        let mut ways = Vec::new();
        for sequence in ranges.iter().flat_map(|(low, high)| utf8::sequences(*low, *high)) {
            ways.push(sequence.iter().rev().try_fold(0, |next, (first, last)| self.push(Node::Byte { first: *first, last: *last, next }))?);
        }
        let (start, rule) = (self.branch(&ways)?, self.network.rules.len() as u32);
        self.network.rules.push(start);
        self.classes.insert(ranges.to_vec(), rule);
        Ok(rule)
    }
}
