//! Adapters: what the engine makes with them against the oracle, the same bits for every batch and every team, and files that do not fit.

use std::sync::Arc;

use inference::Error;
use inference::adapter::Adapter;
use inference::engine::{Adapters, Engine, Session, Want};
use inference::gguf::File;
use inference::kernel::Processor;
use inference::model::Model;
use inference::quant::Kind;
use inference::reference::Reference;
use inference::team::{Alone, Team};
use proptest::prelude::*;

use super::engine::{Threads, logits_in};
use super::generator::{PARTS, Plan, Thin, adapter, model};
use super::reference::{fingerprint_of, rms};
use super::writer::Writer;

const TOKENS: [u32; 7] = [1, 260, 270, 3, 280, 7, 7];
const ALL: Thin = Thin { kind: Kind::F32, rank: 5, alpha: 10.0, parts: &PARTS, seed: 21 };
const SOME: Thin = Thin { kind: Kind::F16, rank: 16, alpha: 0.0, parts: &["attn_q", "attn_v", "ffn_down"], seed: 22 };

/// What a model and its adapters are to each other, in tests.
fn with<T>(plan: &Plan, adapters: &[(&Thin, f32)], test: impl FnOnce(&Model<'_>, &[(&Adapter<'_>, f32)]) -> T) -> T {
    let file = model(plan);
    let file = File::read(&file).expect("a model's file");
    let model = Model::read(&file).expect("a model");
    let files: Vec<Vec<u8>> = adapters.iter().map(|(thin, _)| adapter(plan, thin).finish()).collect();
    let files: Vec<File<'_>> = files.iter().map(|file| File::read(file).expect("an adapter's file")).collect();
    let read: Vec<Adapter<'_>> = files.iter().map(|file| Adapter::read(file, &model).expect("an adapter")).collect();
    test(&model, &read.iter().zip(adapters).map(|(adapter, (_, scale))| (adapter, *scale)).collect::<Vec<_>>())
}

fn oracle(model: &Model<'_>, adapters: &[(&Adapter<'_>, f32)], tokens: &[u32]) -> Vec<f32> {
    let mut reference = Reference::adapted(model, adapters);
    tokens.iter().flat_map(|token| reference.next(*token).expect("a token")).collect()
}

/// A session with room for `capacity` tokens.
fn session(engine: &Engine<'_>, adapters: &[(&Adapter<'_>, f32)], capacity: usize, threads: usize) -> Session {
    let mut session = Session::new(engine, capacity, threads);
    session.adapt(Some(Arc::new(Adapters::new(adapters).expect("scales"))));
    session
}

fn run(processor: Processor, model: &Model<'_>, adapters: &[(&Adapter<'_>, f32)], batch: usize, team: &dyn Team, tokens: &[u32]) -> Vec<f32> {
    let engine = Engine::new(model, processor, |_, _| ());
    logits_in(session(&engine, adapters, tokens.len(), team.threads()), &engine, tokens, batch, team)
}

#[test]
fn adapted_models_run_as_the_oracle_does() {
    let small = Plan::small(Kind::F32, 9);
    let qwen = Plan { architecture: "qwen2", biased: true, ..small.clone() };
    let quantised = Thin { kind: Kind::Q8_0, rank: 32, ..ALL };
    let pairs: [&[(&Thin, f32)]; 4] = [&[(&ALL, 1.0)], &[(&SOME, -0.5)], &[(&ALL, 0.5), (&SOME, 1.5)], &[(&quantised, 0.25), (&ALL, 0.5)]];
    for (plan, most) in [(small, 0.004), (qwen, 0.004), (Plan::small(Kind::Q8_0, 3), 0.04), (Plan::small(Kind::Q4_K, 3), 0.04)] {
        for adapters in pairs {
            with(&plan, adapters, |model, read| {
                let expected = oracle(model, read, &TOKENS);
                let error = rms(&run(Processor::detect(), model, read, 3, &Threads(2), &TOKENS), &expected);
                let change = rms(&oracle(model, &[], &TOKENS), &expected);
                assert!(error < most && change > 0.1, "{plan:?} with {adapters:?}: rms {error}, changed by {change}");
            });
        }
    }
}

#[test]
fn batches_and_threads_and_processors_change_no_bit_of_adapted_logits() {
    let tokens: Vec<u32> = (0..140).map(|index| (index * 37 + 1) % 288).collect();
    let plan = Plan { layers: 1, ..Plan::small(Kind::Q8_0, 5) };
    with(&plan, &[(&ALL, 0.5), (&SOME, 1.5)], |model, read| {
        let expected = run(Processor::detect(), model, read, 140, &Alone, &tokens);
        let same = |seen: &[f32]| seen.len() == expected.len() && seen.iter().zip(&expected).all(|(one, other)| one.to_bits() == other.to_bits());
        for (batch, threads) in [(1, 1), (2, 1), (7, 2), (64, 3), (140, 2)] {
            assert!(same(&run(Processor::detect(), model, read, batch, &Threads(threads), &tokens)), "batches of {batch}, {threads} threads");
        }
        assert!(same(&run(Processor::Portable, model, read, 64, &Alone, &tokens)));
    });
}

/// What the oracle makes of generated adapters, when the next test held.
#[test]
fn adapted_models_keep_their_golden_logits() {
    let seen = [(&ALL, 1.0), (&SOME, -0.5)]
        .map(|pair| with(&Plan::small(Kind::F32, 7), &[pair], |model, read| fingerprint_of(&oracle(model, read, &TOKENS))));
    assert!(seen.iter().zip(GOLDEN).all(|(seen, expected)| (seen - expected).abs() < 2e-4), "{seen:?}, not {GOLDEN:?}");
}

const GOLDEN: [f32; 2] = [-0.15035652, 0.23179036];

/// The meaning of it all: the oracle with an adapter is the oracle without one over weights to which the product has been added.
#[test]
fn an_adapter_adds_its_product_to_the_weights() {
    let plan = Plan::small(Kind::F32, 7);
    let thin = Thin { parts: &["ffn_up"], ..ALL };
    let merged = with(&plan, &[(&thin, 0.75)], |model, read| {
        let mut weights: Vec<Vec<u8>> = Vec::new();
        for (index, layer) in model.layers.iter().enumerate() {
            let (delta, scale) = read[0].0.at(inference::model::Place::Layer(index, inference::model::Part::Up), 0.75).expect("a delta");
            assert_eq!(scale, 0.75 * 10.0 / 5.0);
            let number = |data: &[u8], at: usize| f64::from(f32::from_le_bytes([data[4 * at], data[4 * at + 1], data[4 * at + 2], data[4 * at + 3]]));
            let weight = &layer.up.weight;
            let sum = |row: usize, column: usize| {
                let product: f64 = (0..5).map(|rank| number(delta.expand.row(row), rank) * number(delta.narrow.row(rank), column)).sum();
                (number(weight.row(row), column) + scale * product) as f32
            };
            weights.push((0..weight.rows).flat_map(|row| (0..weight.columns).flat_map(move |column| sum(row, column).to_le_bytes())).collect());
        }
        let mut merged = model.clone();
        merged.layers.iter_mut().zip(&weights).for_each(|(layer, data)| layer.up.weight.data = data);
        rms(&oracle(&merged, &[], &TOKENS), &oracle(model, read, &TOKENS))
    });
    assert!(merged < 1e-5, "rms {merged}");
}

#[test]
fn a_session_changes_its_adapters_and_forgets() {
    with(&Plan::small(Kind::Q8_0, 5), &[(&ALL, 1.0)], |model, read| {
        let engine = Engine::new(model, Processor::detect(), |_, _| ());
        let feed = |session: &mut Session| {
            let mut logits = Vec::new();
            engine.feed(session, &TOKENS, Want::Last, &Alone, &mut logits).expect("room");
            logits
        };
        let plain = feed(&mut Session::new(&engine, 7, 1));
        let mut session = session(&engine, read, 7, 1);
        assert_ne!(feed(&mut session), plain);
        session.adapt(None);
        assert_eq!(session.position(), 0);
        assert_eq!(feed(&mut session), plain);
        session.adapt(Some(Arc::new(Adapters::new(&[(read[0].0, 0.0)]).expect("scales"))));
        assert_eq!(feed(&mut session), plain, "nothing times anything");
        for scale in [f32::NAN, f32::INFINITY, f32::MAX] {
            assert!(matches!(Adapters::new(&[(read[0].0, scale)]), Err(Error::Adapter(_))), "{scale}");
        }
    });
}

/// What is said of a file.
fn verdict(plan: &Plan, file: &[u8]) -> Result<(), Error> {
    let model = model(plan);
    let model = File::read(&model).and_then(|file| Model::read(&file)).expect("a model");
    Adapter::read(&File::read(file)?, &model).map(|_| ())
}

#[test]
fn what_does_not_fit_is_refused_in_words() {
    let plan = Plan { layers: 1, ..Plan::small(Kind::F32, 7) };
    let thin = Thin { parts: &["attn_q"], ..ALL };
    let said = |change: &dyn Fn(&mut Writer), plan: &Plan| {
        let mut writer = adapter(plan, &thin);
        change(&mut writer);
        verdict(&Plan { layers: 1, ..Plan::small(Kind::F32, 7) }, &writer.finish()).map_err(|error| error.to_string())
    };
    assert_eq!(said(&|_| (), &plan), Ok(()));
    let pair = |writer: &mut Writer, name: &str, narrow: [u64; 2], expand: [u64; 2]| {
        for (half, shape) in [("lora_a", narrow), ("lora_b", expand)] {
            writer.tensor(&format!("{name}.{half}"), &shape, 0, vec![0; (4 * shape[0] * shape[1]) as usize]);
        }
    };
    type Change<'c> = &'c dyn Fn(&mut Writer);
    let changes: [(Change<'_>, &str); 10] = [
        (
            &|writer| writer.tensor("blk.0.attn_k.weight.lora_a", &[64, 5], 0, vec![0; 1280]),
            "blk.0.attn_k.weight.lora_b is missing or of the wrong type",
        ),
        (
            &|writer| writer.tensor("blk.0.attn_k.weight.lora_b", &[5, 32], 0, vec![0; 640]),
            "blk.0.attn_k.weight.lora_a is missing or of the wrong type",
        ),
        (&|writer| writer.tensor("blk.0.attn_norm.weight", &[64], 0, vec![0; 256]), "adapter: tensor blk.0.attn_norm.weight is no part of a pair"),
        (&|writer| pair(writer, "blk.1.attn_k.weight", [64, 5], [5, 32]), "adapter: the model has no blk.1.attn_k.weight to add to"),
        (&|writer| pair(writer, "blk.00.attn_k.weight", [64, 5], [5, 32]), "adapter: the model has no blk.00.attn_k.weight to add to"),
        (&|writer| pair(writer, "blk.0.attn_k.weight", [64, 5], [5, 64]), "tensor blk.0.attn_k.weight.lora_a has the wrong shape"),
        (&|writer| pair(writer, "blk.0.attn_k.weight", [32, 5], [5, 32]), "tensor blk.0.attn_k.weight.lora_a has the wrong shape"),
        (&|writer| pair(writer, "blk.0.attn_k.weight", [64, 6], [5, 32]), "tensor blk.0.attn_k.weight.lora_a has the wrong shape"),
        (&|writer| pair(writer, "blk.0.attn_k.weight", [64, 0], [0, 32]), "tensor blk.0.attn_k.weight.lora_a has the wrong shape"),
        (&|writer| writer.numbers("adapter.alora.invocation_tokens", &[1]), "adapter: activation by tokens is not supported"),
    ];
    for (change, expected) in changes {
        assert_eq!(said(change, &plan), Err(expected.to_owned()));
    }
    let qwen = Plan { architecture: "qwen2", ..plan.clone() };
    assert_eq!(said(&|_| (), &qwen), Err("adapter: general.architecture is qwen2, not llama".to_owned()));
    assert_eq!(verdict(&plan, &model(&plan)), Err(Error::Missing("general.type".into())), "a model is no adapter");
    assert_eq!(verdict(&plan, &adapter(&plan, &Thin { parts: &[], ..ALL }).finish()), Err(Error::Adapter("no tensors are there".into())));
    assert_eq!(verdict(&plan, &adapter(&plan, &Thin { alpha: f32::NAN, ..ALL }).finish()), Err(Error::Value("adapter.lora.alpha".into())));
    let tied = Plan { tied: true, ..plan.clone() };
    assert_eq!(verdict(&tied, &adapter(&plan, &ALL).finish()), Err(Error::Adapter("the model has no output.weight to add to".into())));
    assert_eq!(verdict(&tied, &adapter(&plan, &Thin { parts: &PARTS[..8], ..ALL }).finish()), Ok(()));
}

proptest! {
    /// A file that was changed is refused, or it is one that can be used.
    #[test]
    fn no_bytes_make_it_panic(places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), cut in any::<Option<prop::sample::Index>>()) {
        let plan = Plan { layers: 1, ..Plan::small(Kind::F32, 7) };
        let mut bytes = adapter(&plan, &Thin { parts: &["attn_q", "token_embd.weight"], ..ALL }).finish();
        // The head is what there is to get wrong.
        let head = bytes.len().min(700);
        places.iter().for_each(|(at, change)| bytes[at.index(head)] ^= change);
        cut.iter().for_each(|cut| bytes.truncate(cut.index(bytes.len())));
        let model = model(&plan);
        let model = File::read(&model).and_then(|file| Model::read(&file)).expect("a model");
        if let Ok(adapter) = File::read(&bytes).and_then(|file| Adapter::read(&file, &model)) && Adapters::new(&[(&adapter, 1.0)]).is_ok() {
            run(Processor::detect(), &model, &[(&adapter, 1.0)], 7, &Alone, &TOKENS);
        }
    }
}
