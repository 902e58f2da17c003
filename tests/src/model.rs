//! A small language model of the project's own making, and what it says on the host: what it must say in the system, too.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use inference::answer::{Answer, Record, Step};
use inference::chat::{Message, Role, Template};
use inference::engine::{Engine, Session};
use inference::gguf::File;
use inference::kernel::Processor;
use inference::model::Model;
use inference::quant::Kind;
use inference::sampling::Options;
use inference::team::Alone;
use inference::tokenizer::Tokenizer;

use crate::root;

#[path = "../../servers/inference/tests/suite/dice.rs"]
mod dice;
#[allow(dead_code, reason = "the engine's own tests make more kinds of models")]
#[path = "../../servers/inference/tests/suite/generator.rs"]
mod generator;
#[allow(dead_code, reason = "the engine's own tests write more kinds of files")]
#[path = "../../servers/inference/tests/suite/writer.rs"]
mod writer;

/// Where it lies in the system when [`staged`] is added as `/models`.
pub const PATH: &str = "/models/small.gguf";
/// What it is asked.
pub const PROMPT: &str = "ab ba";
/// How tokens are drawn, as options of `llm run`.
pub const DRAWN: &str = "--temp 0.9 --seed 3";

/// The folder on the host in which its file is, beside one that is cut off and one that is no model.
///
/// # Panics
/// The folder cannot be written.
#[must_use]
pub fn staged() -> &'static Path {
    static STAGED: OnceLock<PathBuf> = OnceLock::new();
    STAGED.get_or_init(|| {
        let folder = root().join("target/tests/models");
        let file = generator::model(&plan());
        fs::create_dir_all(&folder).expect("a folder can be made");
        for (name, bytes) in [("small.gguf", &file[..]), ("cut.gguf", &file[..5000]), ("text.gguf", b"hello\n")] {
            fs::write(folder.join(name), bytes).expect("a file can be written");
        }
        folder
    })
}

/// That folder, as an image is told to add it.
#[must_use]
pub fn added() -> String {
    format!("{}:/models", staged().display())
}

fn plan() -> generator::Plan {
    generator::Plan::small(Kind::Q8_0, 5)
}

/// What it says after [`PROMPT`], the most likely tokens.
#[must_use]
pub fn said(most: usize) -> String {
    answer(&generator::model(&plan()), PROMPT, most, Options::default())
}

/// The same, drawn as [`DRAWN`] has it.
#[must_use]
pub fn drawn(most: usize) -> String {
    answer(&generator::model(&plan()), PROMPT, most, Options { temperature: 0.9, seed: 3, ..Options::default() })
}

/// What the model in a file says after a text.
///
/// # Panics
/// The file is no model.
#[must_use]
pub fn answer(file: &[u8], prompt: &str, most: usize, options: Options) -> String {
    continued(file, |tokenizer| tokenizer.begin().into_iter().chain(tokenizer.tokens(prompt, true)).collect(), most, options)
}

/// What a conversation with it comes to by the template llama2: an answer to each of what somebody says, the most likely tokens.
///
/// # Panics
/// The model has no tokens for it.
#[must_use]
pub fn conversation(said: &[&str], most: usize) -> Vec<String> {
    let (file, mut answers) = (generator::model(&plan()), Vec::<String>::new());
    for so_far in 1..=said.len() {
        let mut messages = Vec::new();
        for (index, text) in said[..so_far].iter().enumerate() {
            messages.push(Message { role: Role::User, text });
            messages.extend(answers.get(index).map(|text| Message { role: Role::Assistant, text: text.trim_ascii_end() }));
        }
        let pieces = Template::Llama2.pieces(&messages).expect("a conversation");
        answers.push(continued(&file, |tokenizer| tokenizer.chat(&pieces).expect("tokens"), most, Options::default()));
    }
    answers
}

/// What the model in a file says after some tokens.
fn continued(file: &[u8], prompt: impl Fn(&Tokenizer<'_>) -> Vec<u32>, most: usize, options: Options) -> String {
    let file = File::read(file).expect("a file");
    let tokenizer = Tokenizer::read(&file).expect("a tokenizer");
    let model = Model::read(&file).expect("a model");
    let engine = Engine::new(&model, Processor::detect(), |_, _| ());
    let prompt = prompt(&tokenizer);
    let session = Session::new(&engine, prompt.len() + most, 1);
    let record = Record { prompt, most, end: tokenizer.end(), options, ..Record::default() };
    let mut answer = Answer::new(&engine, session, &record).expect("an answer");
    let mut bytes = Vec::new();
    loop {
        match answer.step(&engine, &Alone).expect("a step") {
            Step::Read => {}
            Step::Said(token) => tokenizer.append(token, false, &mut bytes),
            Step::Ended(_) => return String::from_utf8_lossy(&bytes).into_owned(),
        }
    }
}
