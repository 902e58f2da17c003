//! Asks language models: `llm help` says how.
//!
//! It is an ordinary program over /dev/llm: a request is written there, and its answer read as it is made. Whatever ends this program, `^C` among it, closes the
//! device, and that ends the work.

mod bench;
mod chat;
mod device;
mod options;
mod status;
mod words;

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::process::ExitCode;

use chat::Conversation;
use device::Device;
use options::Options;
use words::Words;

const HELP: &str = "\
usage: llm COMMAND
  run MODEL [-p TEXT] [-n N]    goes on with a text, which may come from standard input, and says on standard error how fast
  chat MODEL [--system TEXT]    a conversation, a line at a time; --chat NAME for another template than the file's own
  bench MODEL [--times N]       how fast a model is
  list                          the models that are loaded
options of a request: -n N, --temp T, --seed S, --top-k K, --top-p P, --min-p P, --repeat-last-n N, --repeat-penalty X, --presence-penalty X,
  --frequency-penalty X, --logit-bias TOKEN=VALUE, --grammar FILE, --schema FILE, --lora FILE[:SCALE], --context N, --chat NAME, --system TEXT
";
/// The template that a model's file brings.
const OWN_TEMPLATE: &str = "file";
/// What a person at a terminal is asked with.
const PROMPT: &str = "> ";

/// Why a command failed, in words.
type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match command(&words) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads the output has seen enough.
        Err(error) if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) => ExitCode::FAILURE,
        Err(error) => {
            // Standard error may be closed; the status says it too.
            let _unheard = writeln!(io::stderr(), "llm: {error}");
            ExitCode::FAILURE
        }
    }
}

fn command(words: &[&str]) -> Outcome {
    match words {
        ["run", rest @ ..] => run(&Options::parse(rest, &["-p"])?),
        ["chat", rest @ ..] => talk(&Options::parse(rest, &[])?.or("chat", OWN_TEMPLATE)),
        ["bench", rest @ ..] => measure(&Options::parse(rest, &["--times"])?),
        ["list"] => Device::open()?.answer(&Words::new("list")?.about(b""), print),
        ["help" | "--help"] => print(HELP.as_bytes()),
        _ => Err(HELP.into()),
    }
}

fn print(text: &[u8]) -> Outcome {
    let mut out = io::stdout().lock();
    out.write_all(text)?;
    Ok(out.flush()?)
}

/// Prints an answer as it comes, with an end of line where a person reads; all of it.
fn show(device: &mut Device, request: &[u8]) -> Outcome<Vec<u8>> {
    let mut answer = Vec::new();
    device.answer(request, |piece| {
        answer.extend_from_slice(piece);
        print(piece)
    })?;
    if io::stdout().is_terminal() && answer.last() != Some(&b'\n') {
        print(b"\n")?;
    }
    Ok(answer)
}

fn run(options: &Options) -> Outcome {
    let prompt = match &options.prompt {
        Some(prompt) => prompt.clone().into_bytes(),
        None if io::stdin().is_terminal() => return Err("what about? Say -p TEXT, or give it on standard input".into()),
        None => {
            let mut text = Vec::new();
            io::stdin().lock().read_to_end(&mut text)?;
            without_last_line_end(text)
        }
    };
    let mut device = Device::open()?;
    show(&mut device, &options.request(&prompt)?)?;
    writeln!(io::stderr(), "{}", device.status()?.line())?;
    Ok(())
}

/// As a shell takes what a command says: the end of the last line belongs to whoever wrote it, and is no part of the prompt.
fn without_last_line_end(mut text: Vec<u8>) -> Vec<u8> {
    if text.last() == Some(&b'\n') {
        text.pop();
    }
    text
}

fn talk(options: &Options) -> Outcome {
    let mut device = Device::open()?;
    let mut conversation = Conversation::default();
    let by_hand = io::stdin().is_terminal();
    loop {
        if by_hand {
            print(PROMPT.as_bytes())?;
        }
        let mut line = Vec::new();
        if io::stdin().lock().read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let line = String::from_utf8_lossy(&line);
        if line.trim().is_empty() {
            continue;
        }
        conversation.say(line.trim());
        let answer = show(&mut device, &options.request(conversation.text())?)?;
        if !io::stdout().is_terminal() && answer.last() != Some(&b'\n') {
            print(b"\n")?;
        }
        conversation.answered(&answer);
    }
}

fn measure(options: &Options) -> Outcome {
    let options = options.clone().or("most", bench::TOKENS).or("temp", "0");
    let mut device = Device::open()?;
    let mut rounds = Vec::new();
    for round in 0..options.times.unwrap_or(bench::TIMES) {
        device.answer(&options.request(bench::prompt(round).as_bytes())?, |_| Ok(()))?;
        rounds.push(device.status()?);
    }
    print(bench::report(&rounds).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::{command, without_last_line_end};

    #[test]
    fn last_line_end_alone_is_no_part_of_the_prompt() {
        for (given, prompt) in [("", ""), ("a", "a"), ("a\n", "a"), ("a\n\n", "a\n"), ("\n", "")] {
            assert_eq!(without_last_line_end(given.into()), prompt.as_bytes());
        }
    }

    #[test]
    fn wrong_words_are_answered_before_anything_is_asked() {
        for (words, says) in [
            (&[][..], "usage: llm"),
            (&["walk"], "usage: llm"),
            (&["run"], "which model?"),
            (&["run", "m", "--times", "2"], "--times is no option"),
            (&["chat", "m", "-p", "x"], "-p is no option"),
            (&["bench"], "which model?"),
        ] {
            let error = command(words).expect_err("it is wrong").to_string();
            assert!(error.starts_with(says), "{words:?}: {error}");
        }
    }
}
