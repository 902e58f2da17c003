//! The server's two sides on the host: the receiver with its saved state and the worker, with files in a map and a clock that ticks when it is read.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use abi::RequestNumber;
use inference::answer::{Answer, Record, Step};
use inference::engine::Session;
use inference::gguf::File;
use inference::kernel::Processor;
use inference::quant::Kind;
use inference::sampling::Options;
use inference::server::ready::{Machine, Version};
use inference::server::words::Reason;
use inference::server::worker::Worker;
use inference::server::works::{self, Job, News, Point, State, WORKS, Works};
use inference::team::Alone;
use inference::tokenizer::Tokenizer;
use libsys::host;
use libsys::saved::Area;
use protocols::inference::{Error, MAX_WORDS, Reply, Request, Service, State as Stands, Status};
use protocols::serve::{Caller, LeaseError};
use protocols::service::{self, Badge};
use protocols::vfs::{Actor, FileId, ROOT};

use super::engine::with_engine;
use super::generator::{PARTS, Plan, Thin, adapter, model};

const MODEL: &str = "/models/small.gguf";
const PROMPT: &str = "ab ba";

/// Files, and how much memory there is beyond what a test says is taken.
#[derive(Default)]
struct Files {
    files: BTreeMap<String, Vec<u8>>,
    left: u64,
    now: u64,
    reads: usize,
    /// A file that becomes another one once it was looked at.
    swapped: Option<(String, String)>,
}

type Shared = Rc<RefCell<Files>>;

struct Host(Shared);

impl Machine for Host {
    fn version(&mut self, path: &str, actor: &(Actor, FileId)) -> Result<Version, Reason> {
        let files = self.0.borrow();
        if actor.0.uid != 0 {
            return Err(format!("{path}: permission denied"));
        }
        let (index, (_, bytes)) = files.files.iter().enumerate().find(|(_, (name, _))| *name == path).ok_or(format!("{path}: no such file"))?;
        Ok(Version { file: FileId { inode: index as u32 + 2, generation: 1 }, bytes: bytes.len() as u64, written_ns: 0 })
    }

    fn read(&mut self, path: &str, _actor: &(Actor, FileId), version: Version, mut room: Vec<u8>) -> Result<Vec<u8>, Reason> {
        let mut files = self.0.borrow_mut();
        files.reads += 1;
        if let Some((name, other)) = files.swapped.take() {
            let bytes = files.files[&other].clone();
            files.files.insert(name, bytes);
        }
        room.extend_from_slice(&files.files[path]);
        if room.len() as u64 != version.bytes {
            return Err(format!("{path}: it changed while it was read"));
        }
        Ok(room)
    }

    fn left(&mut self) -> u64 {
        self.0.borrow().left
    }

    fn now_ns(&mut self) -> u64 {
        let mut files = self.0.borrow_mut();
        files.now += 1000;
        files.now
    }
}

/// What the two sides have left for each other.
#[derive(Clone, Default)]
struct Desk(Rc<RefCell<(Vec<Job>, Vec<News>)>>);

impl works::Worker for Desk {
    fn give(&mut self, job: Job) {
        self.0.borrow_mut().0.push(job);
    }

    fn take(&mut self) -> Vec<News> {
        std::mem::take(&mut self.0.borrow_mut().1)
    }
}

/// A program's message.
struct Program {
    number: u32,
    words: Vec<u8>,
}

impl Caller for Program {
    fn badge(&self) -> u64 {
        Badge::new(service::Service::Posix, 1).to_word()
    }

    fn number(&self) -> RequestNumber {
        RequestNumber::new(service::Service::Posix.id(), 3, self.number, 0)
    }

    fn read(&mut self, lease: usize, offset: u64, to: &mut [u8]) -> Result<(), LeaseError> {
        let from = self.words.get(offset as usize..).and_then(|words| words.get(..to.len())).filter(|_| lease == 0);
        to.copy_from_slice(from.ok_or(LeaseError::Invalid)?);
        Ok(())
    }

    fn write(&mut self, _lease: usize, _offset: u64, _from: &[u8]) -> Result<(), LeaseError> {
        Err(LeaseError::Invalid)
    }

    fn caps(&self) -> usize {
        0
    }
}

/// The server, and what outlives its instances.
struct Server {
    area: &'static Area<State>,
    files: Shared,
    desk: Desk,
    works: Works<'static, Desk>,
    worker: Worker<Host>,
}

impl Server {
    fn new(files: &[(&str, Vec<u8>)]) -> Self {
        let files = files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.clone())).collect();
        let files = Rc::new(RefCell::new(Files { files, left: 1 << 40, ..Files::default() }));
        let (area, desk) = (Area::on_host(), Desk::default());
        let (works, worker) = (Works::new(area, desk.clone()), Worker::new(Host(files.clone())));
        Self { area, files, desk, works, worker }
    }

    fn with_small() -> Self {
        Self::new(&[(MODEL, small())])
    }

    /// It died; its successor has what was saved.
    fn restart(&mut self) {
        self.area.recover();
        self.desk = Desk::default();
        self.works = Works::new(self.area, self.desk.clone());
        self.worker = Worker::new(Host(self.files.clone()));
    }

    fn ask(&mut self, number: u32, request: &Request, words: &[u8]) -> Result<Reply, Error> {
        self.works.handle(&mut Program { number, words: words.to_vec() }, request)
    }

    fn begin_as(&mut self, number: u32, name: u64, actor: Actor, words: &str) -> Result<Reply, Error> {
        self.ask(number, &Request::Begin { name, actor, start: ROOT, length: words.len() as u32 }, words.as_bytes())
    }

    fn begin(&mut self, name: u64, words: &str) -> Result<Reply, Error> {
        self.begin_as(name as u32, name, Actor::superuser(), words)
    }

    /// The worker's turn; whether it had anything to do.
    fn work(&mut self) -> bool {
        let jobs = std::mem::take(&mut self.desk.0.borrow_mut().0);
        jobs.into_iter().for_each(|job| self.worker.take(job));
        let desk = self.desk.clone();
        self.worker.step(|news| desk.0.borrow_mut().1.push(news))
    }

    fn read(&mut self, name: u64, from: usize) -> Result<Vec<u8>, Error> {
        match self.ask(900, &Request::Read { name, from: from as u64, length: 7 }, &[])? {
            Reply::Text(text) => Ok(text.to_vec()),
            other => panic!("{other:?} is no text"),
        }
    }

    fn status(&mut self, name: u64) -> Status {
        match self.ask(901, &Request::Status { name }, &[]) {
            Ok(Reply::Status(status)) => status,
            other => panic!("{other:?} is no status"),
        }
    }

    fn end(&mut self, name: u64) {
        assert_eq!(self.ask(902, &Request::End { name }, &[]), Ok(Reply::Done));
    }

    /// All that comes of work, read as it comes.
    fn rest(&mut self, name: u64, mut known: Vec<u8>) -> Result<Vec<u8>, Error> {
        loop {
            match self.read(name, known.len()) {
                Ok(text) if text.is_empty() => return Ok(known),
                Ok(text) => known.extend(text),
                Err(Error::Pending) => assert!(self.work(), "there is nothing to read and nothing to do"),
                Err(error) => return Err(error),
            }
        }
    }

    fn whole(&mut self, name: u64, words: &str) -> String {
        assert_eq!(self.begin(name, words), Ok(Reply::Done));
        let text = self.rest(name, Vec::new()).expect("all of it");
        self.end(name);
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Why work has failed.
    fn reason(&mut self, name: u64, words: &str) -> String {
        assert_eq!(self.begin(name, words), Ok(Reply::Done));
        assert_eq!(self.rest(name, Vec::new()), Err(Error::Failed));
        let Stands::Failed(reason) = self.status(name).state else { panic!("it has failed") };
        self.end(name);
        reason.to_string()
    }
}

fn small() -> Vec<u8> {
    model(&Plan::small(Kind::Q8_0, 5))
}

/// What the engine alone says after a text: the tokens' bytes.
fn said(text: &str, most: usize, options: Options) -> Vec<u8> {
    let file = small();
    let file = File::read(&file).expect("a file");
    let tokenizer = Tokenizer::read(&file).expect("a tokenizer");
    let prompt: Vec<u32> = tokenizer.begin().into_iter().chain(tokenizer.tokens(text, true)).collect();
    let mut bytes = Vec::new();
    with_engine(&small(), |engine| {
        let record = Record { prompt, most, end: tokenizer.end(), options, ..Record::default() };
        let mut answer = Answer::new(engine, Session::new(engine, 256, 1), &record).expect("an answer");
        loop {
            match answer.step(engine, &Alone).expect("a step") {
                Step::Read => {}
                Step::Said(token) => tokenizer.append(token, false, &mut bytes),
                Step::Ended(_) => break,
            }
        }
    });
    bytes
}

fn asked(more: &str, text: &str) -> String {
    format!("model {MODEL}\n{more}\n{text}")
}

#[test]
fn an_answer_is_read_as_it_is_made() {
    let mut server = Server::with_small();
    let options = Options { temperature: 0.9, seed: 3, ..Options::default() };
    server.begin(1, &asked("most 20\ntemp 0.9\nseed 3\n", PROMPT)).expect("begun");
    assert_eq!(server.read(1, 0), Err(Error::Pending));
    let text = server.rest(1, Vec::new()).expect("all of it");
    assert_eq!(text, said(PROMPT, 20, options));
    let status = server.status(1);
    assert_eq!((status.state.clone(), status.bytes, status.tokens), (Stands::Whole, text.len() as u64, 20));
    assert!(status.prompt_tokens > 2 && status.load_ns > 0 && status.prompt_ns > 0 && status.tokens_ns > 0, "{status:?}");
    assert!(status.p50_ns > 0 && status.p50_ns <= status.p99_ns && status.p99_ns <= status.tokens_ns * 9 / 8, "{status:?}");
    assert!(status.memory > small().len() as u64, "{status:?}");
    assert_eq!(server.read(1, 3).expect("again"), text[3..10], "from any byte, as often as one likes");
    assert_eq!(server.read(1, 1 << 40), Ok(Vec::new()));
    server.end(1);
    server.end(1);
    assert_eq!(server.read(1, 0), Err(Error::NoSuchWork));
    server.begin(2, &asked("most 1\n", PROMPT)).expect("the same place");
    server.rest(2, Vec::new()).expect("all of it");
    assert_eq!(server.status(2).p99_ns, 0, "nothing of the work before, and its one token came with the prompt");
}

/// What a reader does, under something that may end the server on the way: whether it did.
type Ending<'a> = &'a mut dyn FnMut(&mut Server, &mut dyn FnMut(&mut Server)) -> bool;

/// Wherever it dies, its successor goes on with the same text, and the reader who kept its place misses nothing.
#[test]
fn an_answer_outlives_the_server_at_every_store_and_failpoint() {
    let words = asked("most 6\ntemp 0.9\nseed 3\n", PROMPT);
    let expected = said(PROMPT, 6, Options { temperature: 0.9, seed: 3, ..Options::default() });
    let run = |crash: Ending<'_>| {
        let (mut server, mut known) = (Server::with_small(), Vec::new());
        let mut begun = false;
        let mut reads = |server: &mut Server| {
            if !begun {
                assert_eq!(server.begin(1, &words), Ok(Reply::Done));
                begun = true;
            }
            loop {
                match server.read(1, known.len()) {
                    Ok(text) if text.is_empty() => break,
                    Ok(text) => known.extend(text),
                    Err(Error::Pending) => assert!(server.work()),
                    Err(error) => panic!("{error:?}"),
                }
            }
        };
        let died = crash(&mut server, &mut reads);
        if died {
            server.restart();
            reads(&mut server);
        }
        assert_eq!(known, expected);
        died
    };
    let mut deaths = 0;
    while run(&mut |server, reads| host::crash_at_store(deaths, || reads(server)).is_none()) {
        deaths += 1;
    }
    assert!(deaths > 20, "{deaths}");
    for point in [Point::Intent, Point::Effect, Point::Reply, Point::News] {
        assert!(run(&mut |server, reads| host::crash_at_failpoint(point.name(), 1, || reads(server)).is_none()), "{}", point.name());
    }
}

#[test]
fn work_that_is_ended_makes_room_and_a_death_on_the_way_changes_nothing() {
    let mut server = Server::with_small();
    for name in 1..=WORKS as u64 {
        server.begin(name, &asked("", PROMPT)).expect("room");
    }
    let late = asked("most 3\n", PROMPT);
    assert_eq!(server.begin(99, &late), Err(Error::Busy));
    assert_eq!(server.begin_as(1, 1, Actor::superuser(), "other words"), Ok(Reply::Done), "the request that began it, again");
    assert_eq!(server.begin_as(77, 1, Actor::superuser(), "other words"), Err(Error::Exists));
    assert!(host::crash_at_failpoint(Point::End.name(), 1, || server.end(1)).is_none());
    server.restart();
    server.end(1);
    assert_eq!(server.begin(99, &late), Ok(Reply::Done));
    // Those before it do not keep it from its turn.
    let text = server.rest(99, Vec::new()).expect("all of it");
    assert_eq!(text, said(PROMPT, 3, Options::default()));
    assert!((2..WORKS as u64).all(|name| server.status(name).tokens > 0), "all are made in turn");
    (2..=WORKS as u64).for_each(|name| server.end(name));
    while server.work() {}
    let listed = format!("{} 0 {} {MODEL}\n", small().len(), Processor::detect().name());
    assert_eq!(server.whole(5, "task list"), listed, "nobody uses it");
}

/// A model can be such that whoever runs it dies, of a lack of memory for one. Each successor would, and nobody would be answered any more.
#[test]
fn work_that_servers_die_of_is_given_up_and_a_death_after_a_token_is_another_matter() {
    let mut server = Server::with_small();
    server.begin(1, &asked("most 9\n", PROMPT)).expect("begun");
    for tokens in [0, 0, 0, 1, 1, 1, 2] {
        while server.status(1).tokens < tokens {
            server.work();
        }
        assert_eq!(server.status(1).state, Stands::Working);
        server.restart();
    }
    for _ in 0..2 {
        assert_eq!(server.status(1).state, Stands::Working);
        server.restart();
    }
    server.restart();
    assert!(matches!(server.status(1).state, Stands::Failed(reason) if reason.starts_with("the server died of it")));
    assert!(!server.work(), "its successor has nothing to do with it");
    assert_eq!(server.rest(1, Vec::new()), Err(Error::Failed), "what came of it can be read, and then that it failed");
}

#[test]
fn what_cannot_be_done_is_said_in_words() {
    let mut cut_off = small();
    cut_off.truncate(5000);
    let files = [(MODEL, small()), ("/cut", cut_off), ("/text", b"hello".to_vec()), ("/grammar", b"root ::= \"".to_vec())];
    let mut server = Server::new(&files);
    assert_eq!(server.reason(1, "warmth 3\n\nx"), "line 1: warmth: no such key");
    assert_eq!(server.reason(1, "model /absent\n\nx"), "/absent: no such file");
    assert_eq!(server.reason(1, "model /cut\n\nx"), "/cut: the file is cut off");
    assert_eq!(server.reason(1, "model /text\n\nx"), "/text: not a GGUF file");
    assert_eq!(server.reason(1, &asked("temp -1\n", "x")), "temperature has an impossible value");
    assert!(server.reason(1, &asked("grammar /grammar\n", "x")).starts_with("/grammar: grammar: "));
    assert!(server.reason(1, &asked("lora /text 1\n", "x")).starts_with("/text: "));
    assert_eq!(server.reason(1, &asked("chat klingon\n", "x")), "chat template klingon is not supported");
    assert!(server.reason(1, &asked("context 2\n", "abcabcabc")).contains("there is room for 2"));
    let nobody = Actor { uid: 1000, ..Actor::superuser() };
    server.begin_as(1, 1, nobody, &asked("", "x")).expect("begun");
    assert_eq!(server.rest(1, Vec::new()), Err(Error::Failed));
    assert!(matches!(server.status(1).state, Stands::Failed(reason) if reason.ends_with("permission denied")));
    let long = Request::Begin { name: 2, actor: Actor::superuser(), start: ROOT, length: MAX_WORDS as u32 + 1 };
    assert_eq!(server.ask(2, &long, &[]), Err(Error::TooLong));
    let unlent = Request::Begin { name: 2, actor: Actor::superuser(), start: ROOT, length: 9 };
    assert_eq!(server.ask(2, &unlent, b"short"), Err(Error::InvalidLease));
}

#[test]
fn models_that_nobody_uses_make_room_for_others() {
    let mut server = Server::new(&[(MODEL, small()), ("/other", model(&Plan::small(Kind::Q4_0, 9)))]);
    server.whole(1, &asked("most 1\n", "x"));
    server.whole(2, &asked("most 1\n", "x"));
    assert_eq!(server.files.borrow().reads, 1, "it was loaded once");
    server.files.borrow_mut().left = 0;
    assert!(server.reason(3, "model /other\n\nx").contains("MiB are left"));
    assert_eq!(server.whole(4, "task list"), "", "the unused one was given up in vain");
    server.files.borrow_mut().left = 1 << 40;
    server.begin(5, &asked("", "x")).expect("begun");
    while server.status(5).tokens == 0 {
        server.work();
    }
    assert!(server.reason(6, &asked("task unload\n", "")).ends_with("it is in use"));
    server.end(5);
    server.work();
    assert_eq!(server.whole(7, &asked("task unload\n", "")), "");
    assert_eq!(server.whole(8, "task list"), "");
    assert_eq!(server.reason(8, &asked("task unload\n", "")), format!("{MODEL}: it is not loaded"));
    assert_eq!((server.whole(9, "task load\nmodel /other\n"), server.whole(10, "task list").lines().count()), (String::new(), 1));
}

#[test]
fn tokens_and_embeddings_are_lines() {
    let mut server = Server::with_small();
    let tokens = server.whole(1, &asked("task tokens\n", PROMPT));
    let file = small();
    let tokenizer = Tokenizer::read(&File::read(&file).expect("a file")).expect("a tokenizer");
    let numbers: Vec<u32> = tokens.lines().map(|line| line.split(' ').next().and_then(|number| number.parse().ok()).expect("a number")).collect();
    assert_eq!(numbers, tokenizer.begin().into_iter().chain(tokenizer.tokens(PROMPT, true)).collect::<Vec<_>>());
    let embedding = server.whole(2, &asked("task embedding\n", PROMPT));
    let column: Vec<f32> = embedding.lines().map(|line| line.parse().expect("a number")).collect();
    let length = column.iter().map(|number| number * number).sum::<f32>();
    assert!(column.len() == 64 && (length - 1.0).abs() < 1e-4, "{length}");
    // Asked again it is the same, whoever died.
    server.begin(3, &asked("task embedding\n", PROMPT)).expect("begun");
    server.work();
    assert!(server.read(3, 0).is_ok());
    server.restart();
    assert_eq!(server.rest(3, Vec::new()).expect("all of it"), embedding.as_bytes());
}

/// What is saved at once has to fit the undo log, however much of it there is.
#[test]
fn long_results_are_saved_in_parts_and_too_long_ones_are_refused() {
    // Each on a fresh server: what lies there already is not saved again.
    let mut server = Server::with_small();
    assert!(server.reason(1, &asked("task tokens\n", &"a ".repeat(15_000))).contains("more than there is room for"));
    let lines = Server::with_small().whole(1, &asked("task tokens\n", &"a ".repeat(10_000)));
    assert!(lines.len() > 64 * 1024 && lines.lines().count() >= 10_000, "{} bytes", lines.len());
    // A file may say that a token stands for anything.
    let mut server = Server::new(&[("/long", model(&Plan { piece_bytes: 300_000, ..Plan::small(Kind::Q8_0, 5) }))]);
    assert_eq!(server.begin(1, "model /long\nmost 4\nlogit-bias 270 1e6\n\nx"), Ok(Reply::Done));
    while server.status(1).state == Stands::Working {
        assert!(server.work());
    }
    let status = server.status(1);
    assert_eq!((status.state, status.bytes), (Stands::Whole, works::AT_ONCE as u64));
}

/// Whose file is changed for another between a look at it and its reading must not have others use that one.
#[test]
fn file_that_is_another_one_when_it_is_read_is_no_model() {
    let mut server = Server::new(&[(MODEL, small()), ("/other", model(&Plan::small(Kind::Q4_0, 9)))]);
    server.files.borrow_mut().swapped = Some(("/other".to_owned(), MODEL.to_owned()));
    assert!(server.reason(1, "model /other\n\nx").contains("changed"));
    assert_eq!(server.whole(2, "task list"), "");
}

#[test]
fn grammar_is_followed_after_a_death_too() {
    let grammar = b"root ::= [a-d]+ \".\"".to_vec();
    let mut server = Server::new(&[(MODEL, small()), ("/g", grammar)]);
    let words = asked("grammar /g\nmost 12\ntemp 1.5\nseed 8\n", PROMPT);
    let expected = server.whole(1, &words);
    assert!(expected.trim_end_matches('.').bytes().all(|byte| (b'a'..=b'd').contains(&byte)) && !expected.is_empty(), "{expected}");
    server.begin(2, &words).expect("begun");
    while server.status(2).tokens < 2 {
        server.work();
    }
    server.restart();
    assert_eq!(server.rest(2, Vec::new()).expect("all of it"), expected.as_bytes());
}

#[test]
fn adapters_are_of_one_answer_alone() {
    let plan = Plan::small(Kind::Q8_0, 5);
    let thin = Thin { kind: Kind::F32, rank: 4, alpha: 64.0, parts: &PARTS, seed: 3 };
    let mut server = Server::new(&[(MODEL, small()), ("/lora", adapter(&plan, &thin).finish())]);
    let plain = server.whole(1, &asked("most 12\n", PROMPT));
    let adapted = server.whole(2, &asked("most 12\nlora /lora 2\n", PROMPT));
    assert_ne!(plain, adapted);
    assert_eq!(server.whole(3, &asked("most 12\n", PROMPT)), plain);
}

#[test]
fn conversation_is_read_from_where_it_differs() {
    let mut server = Server::with_small();
    let prompt = "ab ".repeat(90);
    server.whole(1, &asked("most 4\n", &prompt));
    server.begin(2, &asked("most 4\n", &format!("{prompt}b"))).expect("begun");
    // The job is begun, the prompt's end is read with the first token: no step for each of its batches.
    server.work();
    server.work();
    assert_eq!(server.status(2).tokens, 1);
}
