//! Continues a text.

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use inference::Error;
use inference::answer::{Answer, Record, Step, Turn, Turns};
use inference::chat::{Message, Role, Template};
use inference::engine::{Session, Want};
use inference::gguf::File;
use inference::grammar::{Grammar, Matcher, Vocabulary, schema};
use inference::sampling::{Options, Sampler};
use inference::tokenizer::Tokenizer;

use crate::{Failure, Runner, with_begin};

/// From what, for how long, and how tokens are chosen.
#[derive(Args)]
pub(crate) struct How {
    /// The text; several are answered one after the other, and what one has in common with the one before is not read again.
    #[arg(long, required = true)]
    prompt: Vec<String>,
    /// The prompt is a user's message in this chat template (llama2, llama3, chatml, mistral), or in the `file`'s own.
    #[arg(long)]
    chat: Option<String>,
    /// What the system says before it.
    #[arg(long, requires = "chat")]
    system: Option<String>,
    /// The file of a grammar (GBNF) that the text must follow.
    #[arg(long)]
    grammar: Option<PathBuf>,
    /// The file of a JSON schema that the text must follow.
    #[arg(long, conflicts_with = "grammar")]
    schema: Option<PathBuf>,
    /// Most tokens to add.
    #[arg(short, default_value_t = 64)]
    n: usize,
    /// For how many tokens there is room; beyond that the older half of what is not kept is forgotten. As many as are needed when absent.
    #[arg(long, value_name = "TOKENS")]
    ctx: Option<usize>,
    /// How many tokens of the prompt are never forgotten.
    #[arg(long, value_name = "TOKENS", default_value_t = 0, requires = "ctx")]
    keep: usize,
    /// Prints the tokens' numbers too.
    #[arg(long)]
    ids: bool,
    /// Answers all prompts at once, a token each in turn, and prints each answer when it is whole.
    #[arg(long, conflicts_with_all = ["grammar", "schema", "ctx"])]
    together: bool,
    #[command(flatten)]
    sampling: Sampling,
}

/// How tokens are chosen; with a temperature of 0 the cuts do not matter.
#[derive(Args)]
struct Sampling {
    /// Temperature; 0 takes the most likely token.
    #[arg(long, default_value_t = Options::default().temperature)]
    temp: f32,
    /// How many of the most likely tokens are kept; 0 keeps all.
    #[arg(long, default_value_t = Options::default().top_k)]
    top_k: usize,
    /// The share of the likelihood that is kept; 1 keeps all.
    #[arg(long, default_value_t = Options::default().top_p)]
    top_p: f32,
    /// The share of the best token's likelihood that a token must have; 0 keeps all.
    #[arg(long, default_value_t = Options::default().min_p)]
    min_p: f32,
    /// Over how many tokens the penalties look; 0 switches them off.
    #[arg(long, default_value_t = Options::default().last)]
    repeat_last_n: usize,
    /// Divides the logits of tokens that came before; 1 changes nothing.
    #[arg(long, default_value_t = Options::default().repeat)]
    repeat_penalty: f32,
    /// Taken off the logits of tokens that came before.
    #[arg(long, default_value_t = Options::default().presence, allow_negative_numbers = true)]
    presence_penalty: f32,
    /// Taken off the logit of a token for each time that it came before.
    #[arg(long, default_value_t = Options::default().frequency, allow_negative_numbers = true)]
    frequency_penalty: f32,
    /// A token's number and what is added to its logit: 15043+1, 15043-1, 15043-inf.
    #[arg(long, value_parser = bias)]
    logit_bias: Vec<(u32, f32)>,
    /// Where the draws start.
    #[arg(long, default_value_t = Options::default().seed)]
    seed: u64,
}

fn bias(text: &str) -> Result<(u32, f32), String> {
    let at = text.find(['+', '-']).ok_or("neither + nor - after the token")?;
    let (token, bias) = text.split_at(at);
    Ok((token.parse().map_err(|_| format!("{token} is no token"))?, bias.parse().map_err(|_| format!("{bias} is no number"))?))
}

impl Sampling {
    fn options(&self) -> Options {
        Options {
            temperature: self.temp,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            last: self.repeat_last_n,
            repeat: self.repeat_penalty,
            presence: self.presence_penalty,
            frequency: self.frequency_penalty,
            bias: self.logit_bias.clone(),
            seed: self.seed,
        }
    }
}

impl How {
    fn tokens(&self, file: &File<'_>, tokenizer: &Tokenizer<'_>, prompt: &str) -> Result<Vec<u32>, Failure> {
        let Some(name) = &self.chat else { return Ok(with_begin(tokenizer, prompt)) };
        let template = if name == "file" { Template::of(file)? } else { Template::named(name)? };
        let system = self.system.iter().map(|text| Message { role: Role::System, text });
        let messages: Vec<Message<'_>> = system.chain([Message { role: Role::User, text: prompt }]).collect();
        Ok(tokenizer.chat(&template.pieces(&messages)?)?)
    }

    /// What the text must follow.
    fn rules(&self) -> Result<Option<Grammar>, Failure> {
        let notation = match (&self.grammar, &self.schema) {
            (Some(file), _) => std::fs::read_to_string(file)?,
            (None, Some(file)) => schema::grammar(&std::fs::read_to_string(file)?)?,
            (None, None) => return Ok(None),
        };
        Ok(Some(Grammar::parse(&notation)?))
    }
}

/// Prints what comes after each prompt.
pub(crate) fn run(runner: &Runner<'_>, file: &File<'_>, how: &How) -> Result<(), Failure> {
    let tokenizer = Tokenizer::read(file)?;
    let prompts = how.prompt.iter().map(|prompt| how.tokens(file, &tokenizer, prompt)).collect::<Result<Vec<_>, _>>()?;
    if how.together {
        return together(runner, &tokenizer, how, &prompts);
    }
    let longest = prompts.iter().map(Vec::len).max().unwrap_or(0);
    let mut session = runner.session(how.ctx.unwrap_or(longest + how.n));
    let rules = how.rules()?;
    for tokens in &prompts {
        answer(runner, &tokenizer, &mut session, (how, rules.as_ref()), tokens)?;
    }
    Ok(())
}

/// Prints what comes after each of the prompts, which are answered in turn.
fn together(runner: &Runner<'_>, tokenizer: &Tokenizer<'_>, how: &How, prompts: &[Vec<u32>]) -> Result<(), Failure> {
    let mut turns = Turns::new(prompts.len());
    for (index, tokens) in prompts.iter().enumerate() {
        let record = Record { prompt: tokens.clone(), said: Vec::new(), most: how.n, end: tokenizer.end(), options: how.sampling.options() };
        turns.start(index, Answer::new(&runner.engine, runner.session(tokens.len() + how.n), &record)?)?;
    }
    let (started, mut made) = (Instant::now(), vec![Vec::new(); prompts.len()]);
    while let Some(Turn { key: index, done: step, .. }) = turns.turn(|_, answer| answer.step(&runner.engine, &runner.pool)) {
        match step? {
            Step::Read => {}
            Step::Said(token) => made[index].push(token),
            Step::Ended(_) => {
                let mut text = Vec::new();
                made[index].iter().for_each(|token| tokenizer.append(*token, false, &mut text));
                println!("{index}: {}", String::from_utf8_lossy(&text));
                if how.ids {
                    println!("{:?}", made[index]);
                }
            }
        }
    }
    let count = made.iter().map(Vec::len).sum::<usize>();
    eprintln!("{count} tokens, {:.1} tokens/s", count as f64 / started.elapsed().as_secs_f64());
    Ok(())
}

/// Prints what comes after `tokens`.
fn answer(
    runner: &Runner<'_>,
    tokenizer: &Tokenizer<'_>,
    session: &mut Session,
    (how, rules): (&How, Option<&Grammar>),
    tokens: &[u32],
) -> Result<(), Failure> {
    let mut sampler = Sampler::new(how.sampling.options(), runner.engine.tokens())?;
    tokens.iter().try_for_each(|token| sampler.accept(*token))?;
    let known = session.reuse(tokens);
    let mut logits = runner.feed(session, &tokens[known..], Want::Last)?;
    let vocabulary = Vocabulary::new(tokenizer);
    let mut matcher = rules.map(Matcher::new).transpose()?;
    let (started, mut made) = (Instant::now(), Vec::new());
    while made.len() < how.n {
        if let Some(matcher) = &mut matcher {
            matcher.mask(&vocabulary, &mut logits)?;
        }
        let token = match sampler.choose(&logits) {
            // The grammar's text is whole, and the model has no token for its end.
            Err(Error::NoToken) if matcher.as_ref().is_some_and(Matcher::is_finished) => break,
            token => token?,
        };
        if Some(token) == tokenizer.end() {
            break;
        }
        sampler.accept(token)?;
        made.push(token);
        let mut text = Vec::new();
        tokenizer.append(token, false, &mut text);
        if let Some(matcher) = &mut matcher {
            matcher.advance(&text)?;
        }
        std::io::stdout().write_all(&text)?;
        std::io::stdout().flush()?;
        if session.room() == 0 {
            runner.engine.shift(session, how.keep, &runner.pool)?;
        }
        logits = runner.feed(session, &[token], Want::Last)?;
    }
    println!();
    if how.ids {
        println!("{made:?}");
    }
    let speed = made.len() as f64 / started.elapsed().as_secs_f64();
    eprintln!("{} tokens, {speed:.1} tokens/s; {known} of {} of the prompt's were known", made.len(), tokens.len());
    Ok(())
}
