//! vfs may answer any request but a close with `Pending`: nothing of it may show but the time it takes.

use super::{counters, events, files, llm, locks, memory, processes, signals};
use crate::fake::Runs;
use crate::fake::harness::{DATA, System};

const READ: u64 = 0;
const WRITE: u64 = 1;
const OPEN: u64 = 2;
const LSEEK: u64 = 8;
const MMAP: u64 = 9;
const PREADV: u64 = 295;
const FALLOCATE: u64 = 285;
const SETRLIMIT: u64 = 160;
const KILL: u64 = 62;
const SIGKILL: u64 = 9;
const SIGUSR1: u64 = 10;
/// Seeds that are tried until one makes the call in question wait: one in four does.
const SEEDS: std::ops::Range<u64> = 1..60;

/// What passes without it must pass with it.
const TESTS: [(&str, fn()); 56] = [
    ("file_is_written_and_read_back", files::file_is_written_and_read_back),
    ("pipe_carries_bytes_and_ends", files::pipe_carries_bytes_and_ends),
    ("full_pipe_makes_its_writer_wait_and_loses_nothing", files::full_pipe_makes_its_writer_wait_and_loses_nothing),
    ("writer_without_reader_gets_sigpipe", files::writer_without_reader_gets_sigpipe),
    ("descriptors_are_the_lowest_and_limited", files::descriptors_are_the_lowest_and_limited),
    ("descriptors_marked_so_are_closed_by_exec", files::descriptors_marked_so_are_closed_by_exec),
    ("devices_play_their_parts", files::devices_play_their_parts),
    ("own_program_is_found_through_proc", files::own_program_is_found_through_proc),
    ("proc_is_listed_and_read", files::proc_is_listed_and_read),
    ("who_reads_proc_in_pieces_reads_one_text", files::who_reads_proc_in_pieces_reads_one_text),
    ("working_directory_may_lie_in_proc", files::working_directory_may_lie_in_proc),
    ("names_are_made_renamed_and_removed", files::names_are_made_renamed_and_removed),
    ("fifo_joins_two_processes", files::fifo_joins_two_processes),
    ("poll_wakes_when_a_pipe_has_bytes_and_when_time_is_up", files::poll_wakes_when_a_pipe_has_bytes_and_when_time_is_up),
    ("break_moves_and_its_memory_is_zero", memory::break_moves_and_its_memory_is_zero),
    ("program_has_its_file_bytes_and_zeros_behind_them", memory::program_has_its_file_bytes_and_zeros_behind_them),
    ("faults_are_answered_or_kill", memory::faults_are_answered_or_kill),
    ("mappings_are_cut_protected_and_moved", memory::mappings_are_cut_protected_and_moved),
    ("shared_memory_is_seen_by_both_sides_of_a_fork", memory::shared_memory_is_seen_by_both_sides_of_a_fork),
    ("shared_file_mapping_is_the_file", memory::shared_file_mapping_is_the_file),
    ("a_memory_hog_is_stopped_and_others_live", memory::a_memory_hog_is_stopped_and_others_live),
    ("first_call_of_the_session_is_answered", processes::first_call_of_the_session_is_answered),
    ("session_starts_with_arguments_environment_and_entry", processes::session_starts_with_arguments_environment_and_entry),
    ("unknown_call_is_refused_and_counted", processes::unknown_call_is_refused_and_counted),
    ("child_has_its_own_memory_from_the_fork_on", processes::child_has_its_own_memory_from_the_fork_on),
    ("parent_waits_for_its_child_and_hears_its_status", processes::parent_waits_for_its_child_and_hears_its_status),
    ("nothing_of_a_dead_process_stays", processes::nothing_of_a_dead_process_stays),
    ("vfork_parent_waits_until_its_child_executes", processes::vfork_parent_waits_until_its_child_executes),
    ("executed_program_starts_afresh", processes::executed_program_starts_afresh),
    ("script_with_interpreter_is_executed_by_it", processes::script_with_interpreter_is_executed_by_it),
    ("what_is_no_program_is_refused", processes::what_is_no_program_is_refused),
    ("end_of_the_script_turns_the_power_off_after_its_last_byte", processes::end_of_the_script_turns_the_power_off_after_its_last_byte),
    ("orphans_are_reaped_by_init", processes::orphans_are_reaped_by_init),
    ("threads_share_memory_and_wake_each_other", processes::threads_share_memory_and_wake_each_other),
    ("shell_at_the_console_is_started_again_when_it_ends", processes::shell_at_the_console_is_started_again_when_it_ends),
    ("a_fork_bomb_meets_its_limit_and_can_be_killed", processes::a_fork_bomb_meets_its_limit_and_can_be_killed),
    ("handler_runs_and_the_program_goes_on_where_it_was", signals::handler_runs_and_the_program_goes_on_where_it_was),
    ("running_thread_is_interrupted", signals::running_thread_is_interrupted),
    ("wait_ends_with_eintr_or_is_made_again", signals::wait_ends_with_eintr_or_is_made_again),
    ("deadly_signals_end_and_ignored_ones_do_nothing", signals::deadly_signals_end_and_ignored_ones_do_nothing),
    ("blocked_signal_waits_until_it_is_let_through", signals::blocked_signal_waits_until_it_is_let_through),
    ("stopped_process_runs_nothing_until_it_is_continued", signals::stopped_process_runs_nothing_until_it_is_continued),
    ("interrupt_key_reaches_the_foreground_group_only", signals::interrupt_key_reaches_the_foreground_group_only),
    ("sleep_ends_in_time_and_alarm_interrupts_it", signals::sleep_ends_in_time_and_alarm_interrupts_it),
    ("real_time_signals_queue_and_survive_a_restart", signals::real_time_signals_queue_and_survive_a_restart),
    ("handlers_of_signals_that_waited_together_nest", signals::handlers_of_signals_that_waited_together_nest),
    (
        "timer_of_a_program_goes_off_across_restarts_and_counts_what_nobody_heard",
        events::timer_of_a_program_goes_off_across_restarts_and_counts_what_nobody_heard,
    ),
    ("a_timer_counts_work_and_not_time", counters::a_timer_counts_work_and_not_time),
    ("limit_of_processor_time_warns_and_then_kills", counters::limit_of_processor_time_warns_and_then_kills),
    ("nobody_is_woken_for_timers_of_who_does_not_run", counters::nobody_is_woken_for_timers_of_who_does_not_run),
    ("a_wait_for_a_lock_ends_when_it_is_given_back", locks::a_wait_for_a_lock_ends_when_it_is_given_back),
    ("who_would_wait_for_itself_is_told", locks::who_would_wait_for_itself_is_told),
    ("a_table_that_is_full_says_so_and_keeps_what_is_locked", locks::a_table_that_is_full_says_so_and_keeps_what_is_locked),
    ("text_is_read_as_it_is_made_up_to_its_end", llm::text_is_read_as_it_is_made_up_to_its_end),
    ("work_is_begun_for_who_asks_where_it_is", llm::work_is_begun_for_who_asks_where_it_is),
    ("request_may_come_from_a_file", llm::request_may_come_from_a_file),
];

#[test]
fn every_test_passes_with_pending() {
    const SEED: u64 = 5;
    for (name, test) in TESTS {
        println!("{name}, vfs-pending={SEED}");
        System::with_pending(SEED, test);
    }
}

/// A system with a child whose read of a file waits for vfs: the lanes of both.
fn waiting_reader() -> (System, usize, usize) {
    for seed in SEEDS {
        let (mut system, lane) = System::start_with(format!("script=/run/script\nvfs-pending={seed}").leak());
        system.install("/data", b"from the file");
        let path = system.text(lane, 0, "/data");
        let file = system.call(lane, OPEN, [path, 0, 0, 0, 0, 0]).expect("an open file");
        let child = system.fork(lane);
        // What a new vfs has fetched is nothing.
        system.machine.0.borrow_mut().restart_vfs();
        system.hear_vfs();
        system.deaf = true;
        if system.call(child, READ, [file, DATA + 0x100, 100, 0, 0, 0]).is_none() {
            system.deaf = false;
            return (system, lane, child);
        }
    }
    panic!("no seed makes the read wait");
}

fn finished(system: &mut System, child: usize) {
    assert_eq!(system.result(child), Some(13));
    assert_eq!(system.peek(child, DATA + 0x100, 13), b"from the file");
}

#[test]
fn read_goes_on_when_vfs_signals_and_not_before() {
    let (mut system, lane, child) = waiting_reader();
    system.deaf = true;
    system.call(lane, 39, [0; 6]);
    system.posix().notified(protocols::console::event::ALL);
    assert_eq!(system.result(child), None);
    system.hear_vfs();
    finished(&mut system, child);
}

#[test]
fn wait_for_a_file_outlives_either_server() {
    let (mut system, _, child) = waiting_reader();
    system.machine.0.borrow().vfs_ready.set(false);
    system.machine.0.borrow_mut().restart_vfs();
    system.hear_vfs();
    finished(&mut system, child);

    let (mut system, _, child) = waiting_reader();
    system.restart();
    finished(&mut system, child);
}

#[test]
fn signal_waits_for_the_file_but_a_kill_does_not() {
    let (mut system, lane, child) = waiting_reader();
    let pid = u64::from(system.pid(child));
    system.deaf = true;
    assert_eq!(system.call(lane, KILL, [pid, SIGUSR1, 0, 0, 0, 0]), Some(0));
    assert_eq!(system.runs(child), Some(Runs::Calling), "SIGUSR1 would end it, but not in a wait for a file");
    assert_eq!(system.call(lane, KILL, [pid, SIGKILL, 0, 0, 0, 0]), Some(0));
    assert_eq!(system.runs(child), None);

    let (mut system, lane, child) = waiting_reader();
    let pid = u64::from(system.pid(child));
    assert_eq!(system.call(lane, KILL, [pid, SIGUSR1, 0, 0, 0, 0]), Some(0));
    system.hear_vfs();
    assert_eq!(system.runs(child), None, "the signal is taken when the read is done");
}

/// A system whose vfs never has as much at once as the calls of these tests work on; the lane of its program.
fn short_of_cache(seed: u64) -> (System, usize) {
    System::start_with(format!("script=/run/script\nvfs-pending={seed}:100").leak())
}

const LARGE: u64 = 4 << 20;

/// Bytes that differ wherever they stand.
fn pattern(length: u64) -> Vec<u8> {
    (0..length as u32 / 4).flat_map(|word| word.wrapping_mul(0x9e37_79b9).to_le_bytes()).collect()
}

/// An open file with as many bytes as asked for, at its start, and memory for them: descriptor and address.
fn large_file(system: &mut System, lane: usize, length: u64) -> (u64, u64) {
    system.install("/large", &[]);
    let path = system.text(lane, 0, "/large");
    let file = system.call(lane, OPEN, [path, 2, 0, 0, 0, 0]).expect("an open file");
    let memory = system.call(lane, MMAP, [0, length, 3, 0x22, u64::MAX, 0]).expect("memory");
    system.poke(lane, memory, &pattern(length));
    let mut written = 0;
    while written < length {
        written += system.call(lane, WRITE, [file, memory + written, length - written, 0, 0, 0]).expect("a count");
    }
    system.poke(lane, memory, &vec![0; length as usize]);
    assert_eq!(system.call(lane, LSEEK, [file, 0, 0, 0, 0, 0]), Some(0));
    (file, memory)
}

#[test]
fn a_read_of_more_than_is_there_at_once_ends() {
    let (mut system, lane) = short_of_cache(3);
    let (file, memory) = large_file(&mut system, lane, LARGE);
    assert_eq!(system.call(lane, READ, [file, memory, LARGE, 0, 0, 0]), Some(LARGE));
    assert!(system.peek(lane, memory, LARGE as usize) == pattern(LARGE));
    assert_eq!(system.call(lane, LSEEK, [file, 0, 1, 0, 0, 0]), Some(LARGE));
    assert_eq!(system.call(lane, READ, [file, memory, LARGE, 0, 0, 0]), Some(0), "the end of the file");

    system.poke(lane, memory, &vec![0; LARGE as usize]);
    let vectors: Vec<u8> = [memory, 5, memory + 5, LARGE - 5].iter().flat_map(|word| word.to_le_bytes()).collect();
    system.poke(lane, DATA, &vectors);
    assert_eq!(system.call(lane, PREADV, [file, DATA, 2, 0, 0, 0]), Some(LARGE));
    assert!(system.peek(lane, memory, LARGE as usize) == pattern(LARGE));
}

#[test]
fn pages_for_more_of_a_file_than_is_there_at_once_are_given() {
    let (mut system, lane) = short_of_cache(3);
    system.install("/large", &[]);
    let path = system.text(lane, 0, "/large");
    let file = system.call(lane, OPEN, [path, 2, 0, 0, 0, 0]).expect("an open file");
    assert_eq!(system.call(lane, FALLOCATE, [file, 0, 100, LARGE, 0, 0]), Some(0));
    assert_eq!(system.call(lane, 5, [file, DATA, 0, 0, 0, 0]), Some(0));
    let stat = system.peek(lane, DATA, 144);
    let word = |at: usize| u64::from_le_bytes(stat[at..at + 8].try_into().unwrap());
    assert_eq!((word(48), word(64)), (LARGE + 100, (LARGE + 4096) / 512), "bytes and blocks");
    assert_eq!(system.call(lane, FALLOCATE, [file, 0, 0, 1 << 40, 0, 0]), Some((-28i64) as u64), "ENOSPC");
}

#[test]
fn a_read_in_parts_is_right_whichever_store_is_the_last() {
    const LENGTH: u64 = 200_000;
    for nth in 0.. {
        let (mut system, lane) = short_of_cache(2);
        let (file, memory) = large_file(&mut system, lane, LENGTH);
        // Nothing is there, so that it stops in its middle.
        system.machine.0.borrow_mut().restart_vfs();
        system.hear_vfs();
        let (died, result) = system.call_crashing_at_store(lane, READ, [file, memory, LENGTH, 0, 0, 0], nth);
        assert_eq!(result, Some(LENGTH), "store {nth}");
        assert!(system.peek(lane, memory, LENGTH as usize) == pattern(LENGTH), "store {nth}");
        assert_eq!(system.call(lane, LSEEK, [file, 0, 1, 0, 0, 0]), Some(LENGTH), "store {nth}");
        if !died {
            assert!(nth > 10, "{nth} stores: it was not put off");
            break;
        }
    }
}

#[test]
fn an_append_across_the_size_limit_ends_at_it_however_often_it_is_put_off() {
    const LENGTH: u64 = 300_000;
    const LIMIT: u64 = 200_000;
    for seed in 1..8 {
        let (mut system, lane) = short_of_cache(seed);
        let (_, memory) = large_file(&mut system, lane, LENGTH);
        system.install("/appended", &[]);
        let path = system.text(lane, 0, "/appended");
        let file = system.call(lane, OPEN, [path, 0o2001, 0, 0, 0, 0]).expect("an open file");
        system.poke(lane, DATA, &[LIMIT.to_le_bytes(), u64::MAX.to_le_bytes()].concat());
        assert_eq!(system.call(lane, SETRLIMIT, [1, DATA, 0, 0, 0, 0]), Some(0));
        assert_eq!(system.call(lane, WRITE, [file, memory, LENGTH, 0, 0, 0]), Some(LIMIT), "seed {seed}");
        assert_eq!(system.call(lane, LSEEK, [file, 0, 2, 0, 0, 0]), Some(LIMIT), "seed {seed}");
    }
}
