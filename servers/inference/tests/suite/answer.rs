//! Answers in turn, and answers that are gone on with after whoever made them is gone.

use inference::Error;
use inference::answer::{Answer, Record, Step, Turn, Turns, Why};
use inference::engine::{BATCH, Engine, Session, Want};
use inference::quant::Kind;
use inference::sampling::{Options, Sampler};
use inference::team::Alone;

use super::engine::with_engine;
use super::generator::{Plan, model};

/// Draws that depend on the seed, and on the tokens before.
fn drawn(seed: u64) -> Options {
    Options { temperature: 1.2, repeat: 1.3, frequency: 0.1, last: 5, seed, ..Options::default() }
}

fn record(prompt: &[u32], most: usize, options: Options) -> Record {
    Record { prompt: prompt.to_vec(), most, options, ..Record::default() }
}

fn begin(engine: &Engine<'_>, record: &Record) -> Result<Answer, Error> {
    Answer::new(engine, Session::new(engine, 256, 1), record)
}

/// What is left of an answer, and why it ended.
fn rest(engine: &Engine<'_>, mut answer: Answer) -> (Vec<u32>, Why) {
    let mut said = Vec::new();
    loop {
        match answer.step(engine, &Alone).expect("a step") {
            Step::Read => {}
            Step::Said(token) => said.push(token),
            Step::Ended(why) => return (said, why),
        }
    }
}

fn whole(engine: &Engine<'_>, record: &Record) -> (Vec<u32>, Why) {
    rest(engine, begin(engine, record).expect("an answer"))
}

/// The same by the engine and a sampler alone: a token after the other, the whole prompt at once.
fn plainly(engine: &Engine<'_>, record: &Record) -> Vec<u32> {
    let (mut session, mut said, mut text) = (Session::new(engine, 256, 1), Vec::new(), record.prompt.clone());
    let mut sampler = Sampler::new(record.options.clone(), engine.tokens()).expect("options");
    text.iter().for_each(|token| sampler.accept(*token).expect("a token"));
    while said.len() < record.most {
        let mut logits = Vec::new();
        engine.feed(&mut session, &text, Want::Last, &Alone, &mut logits).expect("room");
        let token = sampler.choose(&logits).expect("a token");
        sampler.accept(token).expect("a token");
        said.push(token);
        text = vec![token];
    }
    said
}

#[test]
fn an_answer_is_what_engine_and_sampler_say() {
    with_engine(&model(&Plan::small(Kind::Q8_0, 5)), |engine| {
        let long: Vec<u32> = (0..150).map(|index| index * 7 % 288).collect();
        for record in [record(&[1, 5, 9], 20, Options::default()), record(&[1, 5, 9], 20, drawn(3)), record(&long, 8, drawn(4))] {
            assert_eq!(whole(engine, &record), (plainly(engine, &record), Why::Limit));
        }
    });
}

#[test]
fn an_answer_that_is_gone_on_with_anywhere_says_the_same() {
    with_engine(&model(&Plan::small(Kind::Q4_0, 6)), |engine| {
        let mut texts = Vec::new();
        for options in [Options::default(), drawn(1), drawn(2)] {
            let new = record(&[1, 5, 9, 11], 24, options);
            let (said, _) = whole(engine, &new);
            for known in 0..=said.len() {
                let later = Record { said: said[..known].to_vec(), ..new.clone() };
                assert_eq!(whole(engine, &later).0, said[known..], "after {known} tokens");
            }
            texts.push(said);
        }
        assert!(texts[0] != texts[1] && texts[1] != texts[2], "the options matter: {texts:?}");
    });
}

#[test]
fn the_token_that_ends_is_not_said_and_ends_again() {
    with_engine(&model(&Plan::small(Kind::Q8_0, 5)), |engine| {
        let new = record(&[1, 5, 9], 20, drawn(3));
        let (said, _) = whole(engine, &new);
        let at = said.iter().position(|token| *token == said[7]).expect("it is there");
        let ending = Record { end: Some(said[7]), ..new };
        let mut answer = begin(engine, &ending).expect("an answer");
        for token in &said[..at] {
            assert_eq!(answer.step(engine, &Alone), Ok(Step::Said(*token)));
        }
        assert_eq!(answer.step(engine, &Alone), Ok(Step::Ended(Why::End)));
        assert_eq!(answer.step(engine, &Alone), Ok(Step::Ended(Why::End)));
        assert_eq!(whole(engine, &Record { said: said[..at].to_vec(), ..ending }), (Vec::new(), Why::End));
    });
}

#[test]
fn answers_take_turns_and_each_is_as_if_it_were_alone() {
    with_engine(&model(&Plan::small(Kind::Q8_0, 7)), |engine| {
        let long: Vec<u32> = (0..3 * BATCH as u32 + 1).map(|index| index * 5 % 288).collect();
        let records = [record(&[1, 5, 9], 12, Options::default()), record(&long, 12, drawn(1)), record(&[1, 7], 5, drawn(2))];
        let mut turns = Turns::new(3);
        for (key, record) in records.iter().enumerate() {
            turns.start(key, begin(engine, record).expect("an answer")).expect("room");
        }
        let (mut said, mut steps, mut ended) = (vec![Vec::new(); 3], [0; 3], [false; 3]);
        while let Some(Turn { key, done: step, .. }) = turns.turn(|_, answer| answer.step(engine, &Alone)) {
            steps[key] += 1;
            match step.expect("a step") {
                Step::Read => {}
                Step::Said(token) => said[key].push(token),
                Step::Ended(_) => ended[key] = true,
            }
            let waiting = || steps.iter().zip(ended).filter(|(_, ended)| !ended).map(|(steps, _)| *steps);
            assert!(waiting().max().unwrap_or(0) - waiting().min().unwrap_or(0) <= 1, "{steps:?}");
        }
        assert_eq!(steps, [13, 12 + 1 + 3, 6], "a prompt of three batches and a token has three steps more");
        for (said, record) in said.iter().zip(&records) {
            assert_eq!(said, &plainly(engine, record));
        }
    });
}

#[test]
fn an_answer_that_is_cancelled_leaves_its_turn_and_its_session() {
    with_engine(&model(&Plan::small(Kind::Q8_0, 5)), |engine| {
        let (first, second) = (record(&[1, 5, 9], 9, Options::default()), record(&[1, 5, 11], 9, drawn(8)));
        let mut turns = Turns::new(2);
        for (key, record) in ['a', 'b'].into_iter().zip([&first, &second]) {
            turns.start(key, begin(engine, record).expect("an answer")).expect("room");
        }
        assert_eq!(turns.start('c', begin(engine, &first).expect("an answer")), Err(Error::Busy));
        (0..3).for_each(|_| drop(turns.turn(|_, answer| answer.step(engine, &Alone))));
        let session = turns.cancel('a').expect("it is there").into_session();
        assert!(turns.cancel('a').is_none());
        assert_eq!(turns.turn(|key, answer| answer.step(engine, &Alone).map(|_| Step::Said(u32::from(key)))).map(|turn| turn.key), Some('b'));
        turns.start('c', Answer::new(engine, session, &second).expect("room")).expect("the place is free");
        let said: Vec<u32> = core::iter::from_fn(|| turns.turn(|_, answer| answer.step(engine, &Alone)))
            .filter_map(|turn| if let (Ok(Step::Said(token)), 'c') = (turn.done, turn.key) { Some(token) } else { None })
            .collect();
        assert_eq!(said, plainly(engine, &second), "what the session saw before does not matter");
    });
}

#[test]
fn what_cannot_be_answered_is_refused_before_anything_is_read() {
    with_engine(&model(&Plan::small(Kind::Q8_0, 5)), |engine| {
        let refused = |record: Record| begin(engine, &record).err();
        let sound = record(&[1, 5], 254, Options::default());
        assert_eq!(refused(sound.clone()), None);
        assert_eq!(refused(Record { most: 255, ..sound.clone() }), Some(Error::ContextFull));
        assert_eq!(refused(Record { most: usize::MAX, ..sound.clone() }), Some(Error::ContextFull));
        assert_eq!(refused(Record { prompt: Vec::new(), ..sound.clone() }), Some(Error::Option("prompt")));
        assert_eq!(refused(Record { prompt: vec![288], ..sound.clone() }), Some(Error::Token(288)));
        assert_eq!(refused(Record { said: vec![288], ..sound.clone() }), Some(Error::Token(288)));
        assert_eq!(refused(Record { options: Options { top_p: 2.0, ..Options::default() }, ..sound.clone() }), Some(Error::Option("top-p")));
        let nothing = Record { most: 0, ..sound };
        assert_eq!(whole(engine, &nothing), (Vec::new(), Why::Limit));
    });
}
