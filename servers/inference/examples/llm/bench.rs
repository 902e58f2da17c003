//! Tokens per second, by prompts and by generation, and what of the machine that takes: `cargo xtask bench inference` reads these lines.

use std::time::Instant;

use clap::Args;
use inference::engine::Want;

use crate::{Failure, Runner};

/// What is measured; all cases that people compare where none is named.
#[derive(Args)]
pub(crate) struct What {
    /// Tokens of the prompts, with commas.
    #[arg(long, value_delimiter = ',')]
    prompt: Vec<usize>,
    /// Tokens to generate.
    #[arg(long, default_value_t = 128)]
    generate: usize,
    /// How many tokens come before the generated ones, with commas.
    #[arg(long, value_delimiter = ',')]
    depth: Vec<usize>,
    /// How often.
    #[arg(long, default_value_t = 3)]
    times: usize,
}

/// Runs `work`, which returns seconds, some times; prints the median of tokens per second, and what `each` says of it.
fn measure(
    name: &str,
    tokens: usize,
    times: usize,
    each: impl Fn(f64) -> String,
    mut work: impl FnMut() -> Result<f64, Failure>,
) -> Result<(), Failure> {
    let mut seconds = (0..times.max(1)).map(|_| work()).collect::<Result<Vec<_>, _>>()?;
    seconds.sort_by(f64::total_cmp);
    let speeds: Vec<f64> = seconds.iter().map(|seconds| tokens as f64 / seconds).collect();
    let median = speeds[speeds.len() / 2];
    println!("{name}: {median:.2} tokens/s (slowest {:.2}, fastest {:.2}); {}", speeds[speeds.len() - 1], speeds[0], each(median));
    Ok(())
}

/// Measures prompts, then generation. Each is warmed up as llama-bench does it: by a prompt, by one token.
pub(crate) fn run(runner: &Runner<'_>, what: &What) -> Result<(), Failure> {
    let (mut prompts, mut depths) = (&what.prompt[..], &what.depth[..]);
    if prompts.is_empty() && depths.is_empty() {
        (prompts, depths) = (&[128, 512], &[0, 1024]);
    }
    println!("{} threads, {} MB of weights", runner.pool_threads(), runner.engine.bytes() / 1_000_000);
    prompts.iter().try_for_each(|length| prompt(runner, *length, what.times))?;
    depths.iter().try_for_each(|depth| generation(runner, what.generate, *depth, what.times))
}

fn token(runner: &Runner<'_>, index: usize) -> u32 {
    ((index * 7919 + 1) % runner.engine.tokens()) as u32
}

fn prompt(runner: &Runner<'_>, length: usize, times: usize) -> Result<(), Failure> {
    let tokens: Vec<u32> = (0..length).map(|index| token(runner, index)).collect();
    let mut session = runner.session(length);
    runner.feed(&mut session, &tokens, Want::Last)?;
    let operations = 2.0 * runner.engine.weights() as f64;
    let each = |speed: f64| format!("{:.1} Gop/s", speed * operations / 1e9);
    measure(&format!("prompt {length}"), length, times, each, || {
        session.truncate(0);
        let started = Instant::now();
        runner.feed(&mut session, &tokens, Want::Last)?;
        Ok(started.elapsed().as_secs_f64())
    })
}

fn generation(runner: &Runner<'_>, generated: usize, depth: usize, times: usize) -> Result<(), Failure> {
    let capacity = depth + generated.max(1);
    let mut session = runner.session(capacity);
    let before: Vec<u32> = (0..depth).map(|index| token(runner, index)).collect();
    runner.feed(&mut session, &before, Want::Last)?;
    runner.feed(&mut session, &[token(runner, 0)], Want::Last)?;
    // A token reads all weights, and the keys and values of those before it: on average of half of the generated ones.
    let kept = session.kept_bytes() as f64 * (depth as f64 + generated as f64 / 2.0) / capacity as f64;
    let read = runner.engine.bytes() as f64 + kept;
    let each = |speed: f64| format!("{:.1} GB/s", speed * read / 1e9);
    measure(&format!("generate {generated} after {depth}"), generated, times, each, || {
        session.truncate(depth);
        let started = Instant::now();
        for index in 0..generated {
            runner.feed(&mut session, &[token(runner, index)], Want::Last)?;
        }
        Ok(started.elapsed().as_secs_f64())
    })
}
