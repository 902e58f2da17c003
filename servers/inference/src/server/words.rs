//! What is asked of the server, in words: lines of a key and a value, an empty line, and the text.
//!
//! ```text
//! model /models/tiny.gguf
//! most 60
//!
//! Once upon a time
//! ```
//!
//! | key | value |
//! |---|---|
//! | `task` | `answer` (the default), `tokens`, `embedding`, `load`, `unload` or `list` |
//! | `model` | the file, for all but `list` |
//! | `most` | most tokens of an answer |
//! | `context` | room for so many tokens, at most as many as the model was trained for where it is absent |
//! | `temp`, `seed`, `top-k`, `top-p`, `min-p` | how tokens are drawn ([`Options`]) |
//! | `repeat-last-n`, `repeat-penalty`, `presence-penalty`, `frequency-penalty` | likewise |
//! | `logit-bias` | a token and what is added to its logit; may come again |
//! | `grammar`, `schema` | a file of GBNF, or of a JSON schema, that the answer follows |
//! | `lora` | an adapter's file and a scale; may come again |
//! | `chat` | the text is a conversation in the template of that name, or in the `file`'s own |
//! | `system` | what the system says before it |
//!
//! In a conversation a line `--- assistant` or `--- user` begins the next turn; the first is the user's.
//!
//! Whoever writes this may be anybody: nothing here panics, and what is refused is named with its line.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Display;
use core::str::FromStr;

use crate::chat::{Message, Role};
use crate::sampling::Options;

/// Tokens of an answer where the words do not say.
pub const MOST: usize = 128;
/// Most adapters, and most biases.
const MOST_OF_A_KIND: usize = 64;

/// Why something was refused, in words.
pub type Reason = String;

/// What is to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Task {
    /// Going on with the text.
    #[default]
    Answer,
    /// The text's tokens, a line each: the number, and its bytes as a quoted string.
    Tokens,
    /// The text's embedding, a number a line.
    Embedding,
    /// Having the model ready.
    Load,
    /// Giving its memory back.
    Unload,
    /// The models that are ready, a line each.
    List,
}

/// A request, taken apart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Words<'a> {
    /// What is to be done.
    pub task: Task,
    /// The model's file; empty for [`Task::List`] alone.
    pub model: &'a str,
    /// Most tokens of an answer.
    pub most: usize,
    /// Room for so many tokens; 0 for what is needed.
    pub context: usize,
    /// How tokens are chosen.
    pub options: Options,
    /// The file of a grammar.
    pub grammar: Option<&'a str>,
    /// The file of a JSON schema.
    pub schema: Option<&'a str>,
    /// Adapters with their scales.
    pub adapters: Vec<(f32, &'a str)>,
    /// The name of a chat template.
    pub chat: Option<&'a str>,
    /// What the system says.
    pub system: Option<&'a str>,
    /// The text.
    pub text: &'a str,
}

fn number<T: FromStr<Err: Display>>(value: &str) -> Result<T, Reason> {
    value.parse().map_err(|error| format!("{value}: {error}"))
}

fn pair(value: &str) -> Result<(&str, &str), Reason> {
    value.split_once(' ').ok_or_else(|| format!("{value}: two words are expected"))
}

impl<'a> Words<'a> {
    /// Takes a request apart.
    ///
    /// # Errors
    /// The line that makes no sense, and why.
    pub fn parse(words: &'a [u8]) -> Result<Self, Reason> {
        let mut rest = core::str::from_utf8(words).map_err(|error| format!("byte {}: not UTF-8", error.valid_up_to()))?;
        let mut request = Self { most: MOST, ..Self::default() };
        for line_number in 1.. {
            let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
            rest = after;
            if line.is_empty() {
                break;
            }
            let (key, value) = line.split_once(' ').unwrap_or((line, ""));
            request.set(key, value).map_err(|reason| format!("line {line_number}: {key}: {reason}"))?;
        }
        request.text = rest;
        request.check()?;
        Ok(request)
    }

    fn set(&mut self, key: &str, value: &'a str) -> Result<(), Reason> {
        match key {
            "task" => {
                self.task = match value {
                    "answer" => Task::Answer,
                    "tokens" => Task::Tokens,
                    "embedding" => Task::Embedding,
                    "load" => Task::Load,
                    "unload" => Task::Unload,
                    "list" => Task::List,
                    other => return Err(format!("{other}: no such task")),
                }
            }
            "model" => self.model = value,
            "most" => self.most = number(value)?,
            "context" => self.context = number(value)?,
            "temp" => self.options.temperature = number(value)?,
            "seed" => self.options.seed = number(value)?,
            "top-k" => self.options.top_k = number(value)?,
            "top-p" => self.options.top_p = number(value)?,
            "min-p" => self.options.min_p = number(value)?,
            "repeat-last-n" => self.options.last = number(value)?,
            "repeat-penalty" => self.options.repeat = number(value)?,
            "presence-penalty" => self.options.presence = number(value)?,
            "frequency-penalty" => self.options.frequency = number(value)?,
            "logit-bias" if self.options.bias.len() < MOST_OF_A_KIND => {
                let (token, bias) = pair(value)?;
                self.options.bias.push((number(token)?, number(bias)?));
            }
            "grammar" => self.grammar = Some(value),
            "schema" => self.schema = Some(value),
            "lora" if self.adapters.len() < MOST_OF_A_KIND => {
                let (file, scale) = value.rsplit_once(' ').ok_or_else(|| format!("{value}: no scale"))?;
                self.adapters.push((number(scale)?, file));
            }
            "logit-bias" | "lora" => return Err(format!("more than {MOST_OF_A_KIND}")),
            "chat" => self.chat = Some(value),
            "system" => self.system = Some(value),
            _ => return Err("no such key".to_owned()),
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Reason> {
        let needs_text = matches!(self.task, Task::Answer | Task::Tokens | Task::Embedding);
        let is_wrong = [
            (self.model.is_empty() && self.task != Task::List, "no model is named"),
            (needs_text && self.text.is_empty(), "there is no text"),
            (self.grammar.is_some() && self.schema.is_some(), "a grammar and a schema cannot both be followed"),
            (self.system.is_some() && self.chat.is_none(), "the system speaks in a chat alone"),
        ];
        is_wrong.into_iter().find(|(wrong, _)| *wrong).map_or(Ok(()), |(_, why)| Err(why.to_owned()))
    }

    /// The conversation that the text is.
    #[must_use]
    pub fn messages(&self) -> Vec<Message<'a>> {
        let mut messages: Vec<Message<'a>> = self.system.iter().map(|text| Message { role: Role::System, text }).collect();
        let (mut role, mut start, mut at) = (Role::User, 0, 0);
        for line in self.text.split_inclusive('\n') {
            let next = match line.trim_end_matches('\n') {
                "--- user" => Some(Role::User),
                "--- assistant" => Some(Role::Assistant),
                _ => None,
            };
            if let Some(next) = next {
                messages.push(Message { role, text: self.text.get(start..at).unwrap_or_default() });
                (role, start) = (next, at + line.len());
            }
            at += line.len();
        }
        messages.push(Message { role, text: self.text.get(start..).unwrap_or_default() });
        messages
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST, Task, Words};
    use crate::chat::{Message, Role};
    use crate::sampling::Options;
    use std::string::String;

    #[test]
    fn keys_come_before_an_empty_line_and_the_text_after_it() {
        let words = "model /m.gguf\nmost 60\ntemp 0.5\nseed 7\nlogit-bias 3 -inf\nlogit-bias 4 1.5\nlora a b 0.5\n\nOnce\n\nupon ";
        let expected = Words {
            model: "/m.gguf",
            most: 60,
            options: Options { temperature: 0.5, seed: 7, bias: vec![(3, f32::NEG_INFINITY), (4, 1.5)], ..Options::default() },
            adapters: vec![(0.5, "a b")],
            text: "Once\n\nupon ",
            ..Words::default()
        };
        assert_eq!(Words::parse(words.as_bytes()), Ok(expected));
        let short = Words { model: "m", most: MOST, text: "x", ..Words::default() };
        assert_eq!(Words::parse(b"model m\n\nx"), Ok(short));
        assert_eq!(Words::parse(b"task list").map(|words| words.task), Ok(Task::List));
    }

    #[test]
    fn what_makes_no_sense_is_named_with_its_line() {
        let refused = |words: &[u8]| Words::parse(words).expect_err("makes no sense");
        assert_eq!(refused(b"model m\nwarmth 3\n\nx"), "line 2: warmth: no such key");
        assert_eq!(refused(b"model m\nmost x\n\nx"), "line 2: most: x: invalid digit found in string");
        assert_eq!(refused(b"task sing\n"), "line 1: task: sing: no such task");
        assert_eq!(refused(b"logit-bias 3\n"), "line 1: logit-bias: 3: two words are expected");
        assert_eq!(refused(b"\nx"), "no model is named");
        assert_eq!(refused(b"model m\n"), "there is no text");
        assert_eq!(refused(b"model m\nsystem s\n\nx"), "the system speaks in a chat alone");
        assert_eq!(refused(b"model m\ngrammar a\nschema b\n\nx"), "a grammar and a schema cannot both be followed");
        assert_eq!(refused(b"model \xff"), "byte 6: not UTF-8");
        let many: String = (0..65).map(|token| format!("logit-bias {token} 1\n")).collect();
        assert_eq!(refused(many.as_bytes()), "line 65: logit-bias: more than 64");
    }

    #[test]
    fn conversation_is_cut_at_its_marks() {
        let words = Words::parse(b"model m\nchat chatml\nsystem Be brief.\n\nHello\n--- assistant\nHi!\nYes?\n--- user\nBye").expect("words");
        let message = |role, text| Message { role, text };
        let expected =
            [message(Role::System, "Be brief."), message(Role::User, "Hello\n"), message(Role::Assistant, "Hi!\nYes?\n"), message(Role::User, "Bye")];
        assert_eq!(words.messages(), expected);
    }

    #[test]
    fn foreign_bytes_are_no_panic() {
        proptest::proptest!(|(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200), text in "(model m\n|task [a-z]+\n|lora x [0-9.]+\n|\n|--- user\n)*")| {
            let _refused = Words::parse(&bytes);
            if let Ok(words) = Words::parse(text.as_bytes()) {
                assert!(words.messages().iter().map(|message| message.text.len()).sum::<usize>() <= text.len());
            }
        });
    }
}
