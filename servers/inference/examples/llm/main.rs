//! Drives the engine on the host, so that anyone can hold it against other engines.
//!
//! `cargo run --release -p inference --example llm -- logits|generate|tokenize|perplexity|embed|bench|machine|model --help` says what each takes.

mod bench;
#[path = "../../tests/suite/dice.rs"]
mod dice;
mod generate;
#[path = "../../tests/suite/generator.rs"]
#[allow(dead_code, reason = "the tests make adapters and small models with it too")]
mod generator;
mod machine;
mod model;
mod pages;
mod pool;
#[path = "../../tests/suite/writer.rs"]
mod writer;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use inference::adapter::Adapter;
use inference::engine::{Adapters, Engine, Pooling, Precision, Session, Want};
use inference::gguf::File;
use inference::kernel::Processor;
use inference::model::Model;
use inference::tokenizer::Tokenizer;
use pool::Pool;

#[global_allocator]
static MEMORY: pages::Large = pages::Large;

/// Why the program ends early.
type Failure = Box<dyn std::error::Error>;

/// Runs language models from GGUF files.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Args)]
struct Common {
    /// The model's file.
    #[arg(long)]
    model: PathBuf,
    /// Threads.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// How keys and values are kept: f16 or q8_0.
    #[arg(long, default_value = "f16", value_parser = precision)]
    cache: Precision,
    /// An adapter's file (LoRA), with `:SCALE` after it if that is not to be 1; may come several times.
    #[arg(long, value_name = "FILE[:SCALE]", value_parser = lora)]
    lora: Vec<(PathBuf, f32)>,
    /// Without AVX2.
    #[arg(long)]
    portable: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Writes the logits after each token, as little-endian f32.
    Logits {
        #[command(flatten)]
        common: Common,
        /// The tokens, with commas.
        #[arg(long, value_delimiter = ',', required = true)]
        tokens: Vec<u32>,
        /// Where to.
        #[arg(long)]
        out: PathBuf,
    },
    /// Continues a text.
    Generate {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        how: generate::How,
    },
    /// Prints the tokens of a text.
    Tokenize {
        #[command(flatten)]
        common: Common,
        /// The text.
        #[arg(long)]
        prompt: String,
    },
    /// How well the model foretells a text: exp of the mean negative log likelihood over the second half of each piece.
    Perplexity {
        #[command(flatten)]
        common: Common,
        /// The text's file.
        #[arg(long)]
        file: PathBuf,
        /// Tokens of a piece.
        #[arg(long, default_value_t = 256)]
        ctx: usize,
    },
    /// Prints what a text becomes behind the last norm, as a column of length 1.
    Embed {
        #[command(flatten)]
        common: Common,
        /// The text.
        #[arg(long)]
        prompt: String,
        /// From which tokens: mean or last.
        #[arg(long, default_value = "mean", value_parser = pooling)]
        pooling: Pooling,
    },
    /// Measures tokens per second.
    Bench {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        what: bench::What,
    },
    /// Measures what this machine can do at most: GB/s read, and operations on bytes.
    Machine {
        /// Threads, with commas.
        #[arg(long, value_delimiter = ',', default_values_t = [1])]
        threads: Vec<usize>,
    },
    /// Makes a random model in the shape of TinyLlama 1.1B, always the same one, to measure with.
    Model(model::Model),
}

impl Command {
    /// What a command on a model has.
    fn common(&self) -> Option<&Common> {
        match self {
            Self::Logits { common, .. }
            | Self::Generate { common, .. }
            | Self::Tokenize { common, .. }
            | Self::Perplexity { common, .. }
            | Self::Embed { common, .. }
            | Self::Bench { common, .. } => Some(common),
            Self::Machine { .. } | Self::Model(_) => None,
        }
    }
}

fn precision(name: &str) -> Result<Precision, String> {
    match name {
        "f16" => Ok(Precision::F16),
        "q8_0" => Ok(Precision::Q8_0),
        other => Err(format!("{other} is neither f16 nor q8_0")),
    }
}

fn pooling(name: &str) -> Result<Pooling, String> {
    match name {
        "mean" => Ok(Pooling::Mean),
        "last" => Ok(Pooling::Last),
        other => Err(format!("{other} is neither mean nor last")),
    }
}

/// A path that holds a colon needs its scale written out.
fn lora(text: &str) -> Result<(PathBuf, f32), String> {
    let Some((file, scale)) = text.rsplit_once(':') else { return Ok((text.into(), 1.0)) };
    scale.parse().map(|scale| (file.into(), scale)).map_err(|_| format!("{scale} is no scale"))
}

/// The adapters that the command asks for.
fn adapters(common: &Common, model: &Model<'_>) -> Result<Option<Arc<Adapters>>, Failure> {
    if common.lora.is_empty() {
        return Ok(None);
    }
    let named = |path: &Path, error: &dyn std::error::Error| format!("{}: {error}", path.display());
    let files = common.lora.iter().map(|(path, _)| fs::read(path).map_err(|error| named(path, &error)));
    let files = files.collect::<Result<Vec<_>, _>>()?;
    let pairs = files.iter().zip(&common.lora);
    let read = pairs.map(|(bytes, (path, scale))| {
        let adapter = File::read(bytes).and_then(|file| Adapter::read(&file, model));
        adapter.map(|adapter| (adapter, *scale)).map_err(|error| named(path, &error))
    });
    let read = read.collect::<Result<Vec<_>, _>>()?;
    Ok(Some(Arc::new(Adapters::new(&read.iter().map(|(adapter, scale)| (adapter, *scale)).collect::<Vec<_>>())?)))
}

/// A model with its threads.
struct Runner<'a> {
    engine: Engine<'a>,
    adapters: Option<Arc<Adapters>>,
    cache: Precision,
    pool: Pool,
}

impl Runner<'_> {
    fn session(&self, capacity: usize) -> Session {
        let mut session = Session::keeping(self.cache, &self.engine, capacity, self.pool_threads());
        session.adapt(self.adapters.clone());
        session
    }

    fn pool_threads(&self) -> usize {
        inference::team::Team::threads(&self.pool)
    }

    fn feed(&self, session: &mut Session, tokens: &[u32], want: Want) -> Result<Vec<f32>, Failure> {
        let mut logits = Vec::new();
        self.engine.feed(session, tokens, want, &self.pool, &mut logits)?;
        Ok(logits)
    }
}

fn main() -> Result<(), Failure> {
    let command = Arguments::parse().command;
    match (&command, command.common()) {
        (Command::Machine { threads }, _) => machine::measure(threads),
        (Command::Model(model), _) => model.write(),
        (_, Some(common)) => on_model(&command, common),
        (_, None) => Ok(()),
    }
}

fn on_model(command: &Command, common: &Common) -> Result<(), Failure> {
    let bytes = fs::read(&common.model)?;
    let file = File::read(&bytes)?;
    if let Command::Tokenize { prompt, .. } = command {
        println!("{:?}", with_begin(&Tokenizer::read(&file)?, prompt));
        return Ok(());
    }
    let processor = if common.portable { Processor::Portable } else { Processor::detect() };
    let model = Model::read(&file)?;
    let engine = Engine::new(&model, processor, |_, _| ());
    let runner = Runner { engine, adapters: adapters(common, &model)?, cache: common.cache, pool: Pool::new(common.threads) };
    match command {
        Command::Logits { tokens, out, .. } => logits(&runner, tokens, out),
        Command::Generate { how, .. } => generate::run(&runner, &file, how),
        Command::Perplexity { file: text, ctx, .. } => perplexity(&runner, &Tokenizer::read(&file)?, &fs::read_to_string(text)?, *ctx),
        Command::Embed { prompt, pooling, .. } => embed(&runner, &Tokenizer::read(&file)?, prompt, *pooling),
        Command::Bench { what, .. } => bench::run(&runner, what),
        Command::Tokenize { .. } | Command::Machine { .. } | Command::Model(_) => Ok(()),
    }
}

fn with_begin(tokenizer: &Tokenizer<'_>, text: &str) -> Vec<u32> {
    tokenizer.begin().into_iter().chain(tokenizer.tokens(text, true)).collect()
}

fn logits(runner: &Runner<'_>, tokens: &[u32], out: &PathBuf) -> Result<(), Failure> {
    let logits = runner.feed(&mut runner.session(tokens.len()), tokens, Want::All)?;
    fs::write(out, logits.iter().flat_map(|logit| logit.to_le_bytes()).collect::<Vec<_>>())?;
    println!("{} rows of {}", tokens.len(), runner.engine.tokens());
    Ok(())
}

/// Minus the logarithm of the likelihood of `token`.
fn surprise(logits: &[f32], token: u32) -> f64 {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from(logit - most).exp()).sum();
    sum.ln() - f64::from(logits[token as usize] - most)
}

fn perplexity(runner: &Runner<'_>, tokenizer: &Tokenizer<'_>, text: &str, ctx: usize) -> Result<(), Failure> {
    if ctx < 2 {
        return Err("a piece has at least 2 tokens".into());
    }
    let tokens = with_begin(tokenizer, text);
    let mut surprises = Vec::new();
    for piece in tokens.chunks_exact(ctx) {
        let mut piece = piece.to_vec();
        if let (Some(first), Some(begin)) = (piece.first_mut(), tokenizer.begin()) {
            *first = begin;
        }
        let logits = runner.feed(&mut runner.session(ctx), &piece, Want::All)?;
        let rows: Vec<&[f32]> = logits.chunks_exact(runner.engine.tokens()).collect();
        surprises.extend((ctx / 2..ctx - 1).map(|index| surprise(rows[index], piece[index + 1])));
    }
    if surprises.is_empty() {
        return Err(format!("the text has {} tokens, fewer than a piece", tokens.len()).into());
    }
    println!("perplexity {:.4} over {} tokens", (surprises.iter().sum::<f64>() / surprises.len() as f64).exp(), surprises.len());
    Ok(())
}

fn embed(runner: &Runner<'_>, tokenizer: &Tokenizer<'_>, prompt: &str, pooling: Pooling) -> Result<(), Failure> {
    let tokens = with_begin(tokenizer, prompt);
    println!("{:?}", runner.engine.embed(&mut runner.session(tokens.len()), &tokens, pooling, &runner.pool)?);
    Ok(())
}
