//! Language models in the system: what `llm` prints is what the engine says on the host, whoever dies meanwhile.

use std::collections::BTreeSet;
use std::fs;

use inference::sampling::Options;
use tests::compare::expected::Expected;
use tests::compare::staged::Staged;
use tests::{AWAIT, Boot, model, root};

/// The end of root's prompt.
const PROMPT: &str = "# ";
/// Tokens of a long answer.
const LONG: usize = 200;

fn boot(name: &str) -> Boot {
    Boot::new(name).with("--add", model::added())
}

/// A command that asks the model.
fn run(more: &str) -> String {
    format!("llm run {} -p '{}' {more}", model::PATH, model::PROMPT)
}

#[test]
fn answers_are_those_of_the_host() {
    let script = format!(
        "{} 2> /figures; echo; {} 2> /dev/null; echo; printf '{}' | llm run {} -n 12 2> /dev/null; echo\n\
         cp {} /tmp/own; before=$(stat -c %X /tmp/own); sleep 1; llm run /tmp/own -p x -n 1 > /dev/null 2>&1\n\
         [ $(stat -c %X /tmp/own) -gt $before ] && echo was read; rm /tmp/own\n\
         grep -c 'tokens' /figures; llm list | cut -d ' ' -f 1,2,4 | grep {}; llm list | wc -l\n",
        run("-n 12"),
        run(&format!("-n 40 {}", model::DRAWN)),
        model::PROMPT,
        model::PATH,
        model::PATH,
        model::PATH,
    );
    let listed = format!("{} 0 {}\n", fs::metadata(model::staged().join("small.gguf")).expect("it is there").len(), model::PATH);
    let expected = format!("{}\n{}\n{}\nwas read\n1\n{listed}2\n", model::said(12), model::drawn(40), model::said(12));
    boot("llm-answers").script(&script).expect_output(&expected);
}

/// Not how fast they come, but what computes them: the server looks for AVX2 itself, and says what it found where it lists its models.
#[test]
fn answers_are_the_same_with_and_without_vector_instructions() {
    let script = format!("{} 2> /dev/null; echo; llm list | cut -d ' ' -f 3\n", run(&format!("-n 40 {}", model::DRAWN)));
    for (cpu, kernels) in [("max", "avx2"), ("max,-avx2", "portable")] {
        let outcome = boot("llm-kernels").with("--accel", "tcg").with("--cpu", cpu).script(&script);
        outcome.expect_output(&format!("{}\n{kernels}\n", model::drawn(40)));
    }
}

/// `tests/linux/fpu.c` counts its vector registers that change under it, on the processor that the server computes on, for as long as the server makes answers in
/// as many registers.
#[test]
fn vector_registers_of_the_server_and_of_a_program_are_not_mixed_up() {
    let staged = Staged::lay_out(&["fpu".into()]).expect("the program can be compiled");
    let linux = fs::read_to_string(root().join("tests/expected/fpu.txt")).expect("it was made");
    let linux = Expected::decode(&linux).expect("it is whole");
    let answer = run(&format!("-n {LONG} {}", model::DRAWN));
    let script = format!(
        "(for time in 1 2 3; do {answer} 2> /dev/null; echo; done > /answers; touch /made) &\n\
         until [ -e /made ]; do /run/programs/fpu >> /registers || exit 1; done; sort -u /registers; cat /answers\n"
    );
    let registers: BTreeSet<&str> = linux.output.stdout.lines().collect();
    let registers: String = registers.iter().map(|line| format!("{line}\n")).collect();
    let answers = format!("{}\n", model::drawn(LONG)).repeat(3);
    for processors in ["1", "2"] {
        let boot = boot("llm-registers").with("--smp", processors).with("--add", format!("{}:/run", staged.guest().display()));
        boot.within_seconds(300).script(&script).expect_output(&format!("{registers}{answers}"));
    }
}

#[test]
fn answer_goes_on_when_the_server_dies_in_the_middle() {
    // Text that was made before a hang comes while it lasts, so nothing tells when to go on after that.
    const DEATHS: [&str; 4] = ["panic", "wild", "overflow", "hang"];
    let crashes = DEATHS.map(|way| format!("crash {way}\n")).concat();
    // Each death comes when more of the answer is there than when the last one did.
    let script = format!(
        "{AWAIT}{} > /answer 2> /dev/null &\n\
         size=0; grown() {{ now=$(wc -c < /answer); [ $now -gt $size ]; }}\n\
         crash() {{ await grown; size=$now; /usr/bin/svc crash inference $1; }}\n\
         {crashes}kill -0 $! && echo goes on; wait; cat /answer; echo\n",
        run(&format!("-n {LONG} {}", model::DRAWN)),
    );
    let outcome =
        boot("llm-deaths").policy("inference", "burst = 64\nbackoff_ms = [1, 1]\nhelper_watchdog_ms = 1000").within_seconds(300).script(&script);
    outcome.expect_output(&format!("goes on\n{}\n", model::drawn(LONG)));
    assert_eq!(outcome.deaths("inference"), DEATHS.len(), "{outcome}");
}

#[test]
fn answers_are_made_in_turn_while_posix_and_vfs_die() {
    let script = format!(
        "{} > /one 2> /dev/null & {} > /other 2> /dev/null &\n/usr/bin/svc crash posix panic; /usr/bin/svc crash vfs panic; wait; cat /one; echo; cat /other; echo\n",
        run("-n 60"),
        run(&format!("-n 60 {}", model::DRAWN)),
    );
    let outcome = boot("llm-turns").script(&script);
    outcome.expect_output(&format!("{}\n{}\n", model::said(60), model::drawn(60)));
    assert_eq!((outcome.deaths("posix"), outcome.deaths("vfs"), outcome.deaths("inference")), (1, 1, 0), "{outcome}");
}

#[test]
fn what_cannot_be_answered_is_refused_in_words() {
    let asks = ["/models/absent", "/models/cut.gguf", "/models/text.gguf", "/dev/null", "/models"];
    let asks = asks.map(|path| format!("llm run {path} -p x 2>&1; echo $?\n")).concat();
    let script = format!(
        "{asks}cp {} /tmp/own; chmod 600 /tmp/own\n\
         su user -c 'llm run /tmp/own -p x' 2>&1; echo $?\n\
         chmod 660 /dev/llm; su user -c 'llm list' 2>&1; echo $?; llm list; echo $?\n\
         cat /dev/llm 2>&1; echo $?\n",
        model::PATH
    );
    let expected = "llm: /models/absent: no such file\n1\nllm: /models/cut.gguf: the file is cut off\n1\nllm: /models/text.gguf: not a GGUF file\n1\n\
        llm: /dev/null: not a file\n1\nllm: /models: not a file\n1\nllm: /tmp/own: permission denied\n1\n\
        llm: /dev/llm: Permission denied (os error 13)\n1\n0\ncat: read error: No data available\n1\n";
    boot("llm-refused").script(&script).expect_output(expected);
}

#[test]
fn interrupt_ends_the_work() {
    let mut session = boot("llm-interrupt").session();
    session.expect(PROMPT);
    session.send(&format!("{}\n", run(&format!("-n 900 {}", model::DRAWN))));
    // What a terminal shows as it is, from where the answer has just begun.
    let answer = model::drawn(LONG);
    let letters = answer.split(|letter: char| !letter.is_ascii_alphanumeric()).find(|letters| letters.len() >= 3);
    session.expect(letters.expect("some letters in a row"));
    session.send("\x03");
    session.expect(PROMPT);
    session.send("llm list | cut -d ' ' -f 1,2,4\n");
    session.expect(&format!(" 0 {}", model::PATH));
    session.expect(PROMPT);
}

#[test]
fn conversation_has_an_answer_to_each_line_that_knows_what_was_said_before() {
    let says = ["ab ba", "a b", "no"];
    let script = format!("printf '{}\\n' | llm chat {} --chat llama2 -n 10\n", says.join("\\n\\n"), model::PATH);
    let answers = model::conversation(&says, 10).iter().map(|answer| format!("{}\n", answer.trim_end_matches('\n'))).collect::<String>();
    boot("llm-chat").script(&script).expect_output(&answers);
    let mut session = boot("llm-chat-typed").session();
    session.expect(PROMPT);
    session.send(&format!("llm chat {} --chat llama2 -n 10\n", model::PATH));
    for line in says {
        session.expect("> ");
        session.send(&format!("{line}\n"));
    }
    session.expect("> ");
    session.send("\x04");
    session.expect(PROMPT);
}

/// As inference's README has it: a shell at a terminal prints line by line, and each write is a request.
#[test]
fn device_is_of_use_to_a_shell_alone() {
    let mut session = boot("llm-shell").session();
    session.expect(PROMPT);
    session.send(&format!("printf 'task tokens\\nmodel {}\\n\\nno' > /tmp/words\n", model::PATH));
    session.expect(PROMPT);
    session.send("exec 3<> /dev/llm\n");
    session.expect(PROMPT);
    session.send("cat /tmp/words >&3; cat <&3; echo status $?\n");
    session.expect("\"o\"\r\nstatus 0\r\n");
}

/// A model that people know, where it is.
#[test]
fn stories_are_those_of_the_host() {
    let folder = root().join("../shared/llm");
    let Ok(file) = fs::read(folder.join("stories260K-Q8_0.gguf")) else {
        eprintln!("SKIPPED: there is no reference data in ../shared/llm");
        return;
    };
    let models = root().join("target/tests/stories");
    fs::create_dir_all(&models).expect("a folder can be made");
    fs::write(models.join("stories.gguf"), &file).expect("a file can be written");
    let begin = "Once upon a time";
    let script = format!("llm run /models/stories.gguf -p '{begin}' -n 60 2> /dev/null; echo\n");
    let outcome = Boot::new("llm-stories").with("--add", format!("{}:/models", models.display())).script(&script);
    outcome.expect_output(&(model::answer(&file, begin, 60, Options::default()) + "\n"));
}
