//! Conversations as the text that a model was taught to answer: the templates llama2, llama3, chatml and mistral.
//!
//! A template yields [`Piece`]s, of which only its own can become special tokens; what people wrote is [`Piece::Text`] and stays text, whatever it looks
//! like. [`Tokenizer::chat`] makes tokens of them. A file's `tokenizer.chat_template` is a program in a language of its own (Jinja), which is
//! not run: the template is recognised by the marks that it writes, and refused where those are not known.
//!
//! Where a vocabulary has no token for a mark of llama2 or mistral (`[INST]`), the mark is ordinary text, and what people write cannot be
//! told from it: that is how those models were taught.

use alloc::borrow::ToOwned;
use alloc::vec::Vec;

use crate::error::Error;
use crate::gguf::File;
use crate::tokenizer::Tokenizer;

/// How a conversation is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Template {
    /// `[INST] <<SYS>> ... <</SYS>> ... [/INST] ...`
    Llama2,
    /// `<|start_header_id|>user<|end_header_id|> ... <|eot_id|>`
    Llama3,
    /// `<|im_start|>user ... <|im_end|>`
    ChatMl,
    /// `[INST] ... [/INST] ...`, the system's message before the first one.
    Mistral,
}

/// Who says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Whoever set the conversation up.
    System,
    /// Who asks.
    User,
    /// The model.
    Assistant,
}

/// Something said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// By whom.
    pub role: Role,
    /// What.
    pub text: &'a str,
}

/// A part of a conversation as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// The token before every text, where the model wants one.
    Begin,
    /// The token between two turns of llama2, which begins each.
    BeginTurn,
    /// The token that ends a text.
    End,
    /// A special token, which the vocabulary must have.
    Special(&'static str),
    /// A special token where the vocabulary has it without the spaces around it; otherwise text.
    Mark(&'static str),
    /// Text that means nothing but itself.
    Text(&'a str),
}

/// Names and templates.
const NAMES: [(&str, Template); 4] =
    [("llama2", Template::Llama2), ("llama3", Template::Llama3), ("chatml", Template::ChatMl), ("mistral", Template::Mistral)];

impl Role {
    const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

impl Template {
    /// The template called `name`.
    ///
    /// # Errors
    /// None is.
    pub fn named(name: &str) -> Result<Self, Error> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, template)| *template).ok_or_else(|| Error::Template(name.to_owned()))
    }

    /// The template of the model in `file`.
    ///
    /// # Errors
    /// The file has none, or one that is not known.
    pub fn of(file: &File<'_>) -> Result<Self, Error> {
        let key = "tokenizer.chat_template";
        let program = file.text(key).ok_or_else(|| Error::Missing(key.to_owned()))?;
        let has = |mark: &str| program.contains(mark);
        if has("<|im_start|>") && has("<|im_end|>") {
            Ok(Self::ChatMl)
        } else if has("<|start_header_id|>") && has("<|end_header_id|>") && has("<|eot_id|>") {
            Ok(Self::Llama3)
        } else if has("[INST]") && has("<<SYS>>") {
            Ok(Self::Llama2)
        } else if has("[INST]") && !has("[SYSTEM_PROMPT]") {
            Ok(Self::Mistral)
        } else {
            Err(Error::Template(key.to_owned()))
        }
    }

    /// The conversation of `messages`, up to where the model's answer begins.
    ///
    /// # Errors
    /// The messages are in an order that the template cannot write, or the last one is not the user's.
    pub fn pieces<'a>(self, messages: &[Message<'a>]) -> Result<Vec<Piece<'a>>, Error> {
        let (system, turns) = match messages.split_first() {
            Some((first, turns)) if first.role == Role::System => (Some(*first), turns),
            _ => (None, messages),
        };
        let expected = [Role::User, Role::Assistant].into_iter().cycle();
        if turns.len().is_multiple_of(2) || turns.iter().zip(expected).any(|(turn, role)| turn.role != role) {
            return Err(Error::Conversation);
        }
        let mut pieces = alloc::vec![Piece::Begin];
        match self {
            Self::Llama3 => system.iter().chain(turns).for_each(|message| llama3(message, &mut pieces)),
            Self::ChatMl => system.iter().chain(turns).for_each(|message| chatml(message, &mut pieces)),
            Self::Llama2 | Self::Mistral => self.instructions(system, turns, &mut pieces),
        }
        match self {
            Self::Llama3 => llama3_head(Role::Assistant, &mut pieces),
            Self::ChatMl => pieces.extend([Piece::Special("<|im_start|>"), Piece::Text("assistant\n")]),
            Self::Llama2 | Self::Mistral => {}
        }
        Ok(pieces)
    }

    /// Both templates have turns of two messages, and put the system's into the first.
    fn instructions<'a>(self, system: Option<Message<'a>>, turns: &[Message<'a>], to: &mut Vec<Piece<'a>>) {
        for (index, turn) in turns.chunks(2).enumerate() {
            if index > 0 && self == Self::Llama2 {
                to.push(Piece::BeginTurn);
            }
            to.push(Piece::Mark("[INST] "));
            if let Some(system) = system.filter(|_| index == 0) {
                let (before, after) = if self == Self::Llama2 { ("<<SYS>>\n", "\n<</SYS>>\n\n") } else { ("", "\n\n") };
                to.extend([before, system.text.trim(), after].map(Piece::Text));
            }
            to.extend(turn.first().map(|question| Piece::Text(question.text.trim())));
            to.push(Piece::Mark(" [/INST]"));
            if let Some(answer) = turn.get(1) {
                to.extend([Piece::Text(" "), Piece::Text(answer.text.trim())]);
                to.extend((self == Self::Llama2).then_some(Piece::Text(" ")));
                to.push(Piece::End);
            }
        }
    }
}

fn llama3_head(role: Role, to: &mut Vec<Piece<'_>>) {
    to.extend([Piece::Special("<|start_header_id|>"), Piece::Text(role.name()), Piece::Special("<|end_header_id|>"), Piece::Text("\n\n")]);
}

fn llama3<'a>(message: &Message<'a>, to: &mut Vec<Piece<'a>>) {
    llama3_head(message.role, to);
    to.extend([Piece::Text(message.text.trim()), Piece::Special("<|eot_id|>")]);
}

fn chatml<'a>(message: &Message<'a>, to: &mut Vec<Piece<'a>>) {
    let name = Piece::Text(message.role.name());
    to.extend([Piece::Special("<|im_start|>"), name, Piece::Text("\n"), Piece::Text(message.text), Piece::Special("<|im_end|>"), Piece::Text("\n")]);
}

impl Tokenizer<'_> {
    /// Tokens of a conversation. Text that stands together is cut into tokens together, and never into special ones.
    ///
    /// # Errors
    /// The vocabulary does not have a special token of the template.
    pub fn chat(&self, pieces: &[Piece<'_>]) -> Result<Vec<u32>, Error> {
        let (mut tokens, mut text) = (Vec::new(), alloc::string::String::new());
        for piece in pieces {
            let token = match *piece {
                Piece::Begin => self.begin(),
                Piece::BeginTurn => self.begin_token(),
                Piece::End => Some(self.end().ok_or_else(|| Error::Missing("tokenizer.ggml.eos_token_id".to_owned()))?),
                Piece::Special(name) => Some(self.special(name).ok_or_else(|| Error::Missing(name.to_owned()))?),
                Piece::Mark(name) => self.special(name.trim()),
                Piece::Text(_) => None,
            };
            match (token, piece) {
                (Some(token), _) => {
                    tokens.extend(self.tokens(&text, false));
                    text.clear();
                    tokens.push(token);
                }
                (None, Piece::Mark(words) | Piece::Text(words)) => text.push_str(words),
                (None, _) => {}
            }
        }
        tokens.extend(self.tokens(&text, false));
        Ok(tokens)
    }
}
