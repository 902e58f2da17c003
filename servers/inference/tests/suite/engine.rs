//! The engine against the oracle and against exact logits, and the same bits for every batch and every team.
#![allow(unsafe_code, reason = "a team promises that its threads have numbers of their own")]

use inference::engine::{Engine, Precision, Session, Want};
use inference::gguf::File;
use inference::kernel::Processor;
use inference::model::Model;
use inference::quant::Kind;
use inference::team::{Alone, Team};

use super::generator::{Plan, model};
use super::reference::{self, rms};
use super::vectors::{self, Prompt};

/// Threads that are made for each phase: slow, and nothing to be wrong about.
pub(crate) struct Threads(pub(crate) usize);

// SAFETY: a thread is made for each number, and the scope ends when all have.
unsafe impl Team for Threads {
    fn threads(&self) -> usize {
        self.0
    }

    fn run(&self, work: &(dyn Fn(usize) + Sync)) {
        std::thread::scope(|scope| (0..self.0).for_each(|thread| drop(scope.spawn(move || work(thread)))));
    }
}

pub(crate) fn with_engine<T>(file: &[u8], test: impl FnOnce(&Engine<'_>) -> T) -> T {
    with_engine_for(Processor::detect(), file, test)
}

fn with_engine_for<T>(processor: Processor, file: &[u8], test: impl FnOnce(&Engine<'_>) -> T) -> T {
    let file = File::read(file).expect("a model's file");
    let model = Model::read(&file).expect("a model");
    test(&Engine::new(&model, processor, |_, _| ()))
}

/// Logits of all tokens, fed `batch` at a time.
fn logits(engine: &Engine<'_>, tokens: &[u32], batch: usize, team: &dyn Team) -> Vec<f32> {
    logits_in(Session::new(engine, tokens.len(), team.threads()), engine, tokens, batch, team)
}

/// The same in a session of the caller's.
pub(crate) fn logits_in(mut session: Session, engine: &Engine<'_>, tokens: &[u32], batch: usize, team: &dyn Team) -> Vec<f32> {
    let mut logits = Vec::new();
    tokens.chunks(batch).for_each(|tokens| engine.feed(&mut session, tokens, Want::All, team, &mut logits).expect("tokens"));
    logits
}

/// A model; most that its logits may differ from the exact ones by root mean square: after the third prompt (what another engine reaches there), and over
/// all tokens of all prompts; and the least gap of two tokens below which another engine's choice means nothing.
const EXACT: [(&str, f64, f64, f32); 7] = [
    ("stories260K-F32", 0.0032, 0.003, 0.02),
    ("stories260K-Q8_0", 0.052, 0.06, 0.5),
    ("stories260K-Q4_0", 0.1, 0.07, 0.5),
    ("wide512-Q4_0", 0.1, 0.07, 0.5),
    ("wide512-Q4_K_M", 0.074, 0.045, 0.5),
    ("wide512-Q6_K", 0.096, 0.06, 0.5),
    ("wide512-Q8_0", 0.052, 0.065, 0.5),
];

#[test]
fn logits_are_as_near_to_the_exact_ones_as_promised() {
    for (name, after_third, over_all, _) in EXACT {
        let Some(file) = vectors::bytes(&format!("{name}.gguf")) else { return };
        let (mut all, mut all_exact, mut third): (Vec<f32>, Vec<f32>, f64) = (Vec::new(), Vec::new(), 0.0);
        for (index, prompt) in Prompt::all(name).iter().enumerate() {
            let seen = with_engine(&file, |engine| logits(engine, &prompt.tokens, 64, &Alone));
            let exact = vectors::exact(name, index).expect("there with the model");
            let last = seen.len() - seen.len() / prompt.tokens.len();
            if index == 2 {
                third = rms(&seen[last..], &exact[last..]);
            }
            all.extend(seen);
            all_exact.extend(exact);
        }
        let error = rms(&all, &all_exact);
        println!("{name}: rms {third:.4} after the third prompt, {error:.4} over all");
        assert!(third > 0.0 && third <= after_third, "{name}: rms {third} after the third prompt");
        assert!(error <= over_all, "{name}: rms {error} over all");
    }
}

#[test]
fn greedy_tokens_are_those_of_another_engine_while_the_choice_is_clear() {
    for (name, _, _, least) in EXACT {
        let Some(file) = vectors::bytes(&format!("{name}.gguf")) else { return };
        with_engine(&file, |engine| {
            for prompt in Prompt::all(name) {
                let mut session = Session::new(engine, 512, 1);
                let mut next = prompt.tokens.clone();
                for (token, gap) in prompt.greedy.iter().zip(&prompt.gaps) {
                    let mut logits = Vec::new();
                    engine.feed(&mut session, &next, Want::Last, &Alone, &mut logits).expect("tokens");
                    let best = (0..logits.len()).max_by(|one, other| logits[*one].total_cmp(&logits[*other])).expect("logits") as u32;
                    if *gap < least {
                        break;
                    }
                    assert_eq!(best, *token, "{name}: {} at {}", prompt.text, session.position());
                    next = vec![best];
                }
            }
        });
    }
}

#[test]
fn generated_models_run_as_the_oracle_does() {
    let small = Plan::small(Kind::F32, 9);
    let mut plans: Vec<Plan> = Kind::ALL.map(|kind| Plan::small(kind, 3)).to_vec();
    plans.push(Plan { mixed: true, ..Plan::small(Kind::Q4_K, 3) });
    plans.push(Plan { architecture: "qwen2", biased: true, tied: true, ..small.clone() });
    plans.push(Plan { architecture: "mistral", kv_heads: 1, inner: 172, ..small });
    for plan in plans {
        let (file, tokens) = (model(&plan), [1, 260, 270, 3, 280, 7, 7]);
        let expected = reference::logits(&file, &tokens);
        let error = rms(&with_engine(&file, |engine| logits(engine, &tokens, 3, &Threads(2))), &expected);
        let most = if plan.kind.block() == 1 { 0.002 } else { 0.04 };
        assert!(error < most, "{plan:?}: rms {error}");
    }
}

/// Heads of 16, of 80 (more than what attention keeps in registers) and of 20 (no whole number of vectors).
#[test]
fn both_processors_make_the_same_logits() {
    let small = Plan { layers: 1, ..Plan::small(Kind::F32, 5) };
    for plan in [Plan { width: 320, ..small.clone() }, Plan { width: 80, ..small.clone() }, small] {
        let (file, tokens) = (model(&plan), (0..70).map(|index| (index * 37 + 1) % 288).collect::<Vec<u32>>());
        let seen = [Processor::Portable, Processor::detect()]
            .map(|processor| with_engine_for(processor, &file, |engine| logits(engine, &tokens, 64, &Alone)));
        assert!(seen[0].iter().zip(&seen[1]).all(|(one, other)| one.to_bits() == other.to_bits()), "{plan:?}");
    }
}

#[test]
fn batches_and_threads_change_no_bit() {
    for kind in [Kind::F16, Kind::Q8_0, Kind::Q4_0, Kind::Q4_K, Kind::Q6_K] {
        let tokens: Vec<u32> = (0..520).map(|index| (index * 37 + 1) % 288).collect();
        with_engine(&model(&Plan { layers: 1, ..Plan::small(kind, 5) }), |engine| {
            let expected = logits(engine, &tokens, 512, &Alone);
            for (batch, threads) in [(1, 1), (2, 1), (7, 2), (64, 3), (512, 2), (512, 3)] {
                let seen = logits(engine, &tokens, batch, &Threads(threads));
                let same = seen.len() == expected.len() && seen.iter().zip(&expected).all(|(one, other)| one.to_bits() == other.to_bits());
                assert!(same, "{kind:?}: batches of {batch}, {threads} threads");
            }
        });
    }
}

/// A head of 16 numbers has one scale, so eight bits are most of what is kept; a model whose heads are of 40 has two, the second for a part of 32.
#[test]
fn keys_in_eight_bits_change_logits_little_and_no_bit_by_batch_or_thread() {
    let small = Plan::small(Kind::F32, 5);
    for plan in [Plan { width: 160, ..small.clone() }, small] {
        let tokens: Vec<u32> = (0..150).map(|index| (index * 37 + 1) % 288).collect();
        with_engine(&model(&plan), |engine| {
            let session = |threads| Session::keeping(Precision::Q8_0, engine, tokens.len(), threads);
            assert!(session(1).kept_bytes() * 3 < Session::new(engine, tokens.len(), 1).kept_bytes() * 2);
            let halves = logits(engine, &tokens, 64, &Alone);
            let expected = logits_in(session(1), engine, &tokens, 64, &Alone);
            let error = rms(&expected, &halves);
            assert!(error > 0.0 && error < 0.02, "rms {error}");
            for (batch, threads) in [(1, 1), (2, 1), (7, 2), (64, 3), (150, 2)] {
                let seen = logits_in(session(threads), engine, &tokens, batch, &Threads(threads));
                assert!(seen.iter().zip(&expected).all(|(one, other)| one.to_bits() == other.to_bits()), "batches of {batch}, {threads} threads");
            }
        });
    }
}
