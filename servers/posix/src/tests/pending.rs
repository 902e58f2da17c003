//! vfs may answer any request but a close with `Pending`: nothing of it may show but the time it takes.

use super::{files, memory, processes, signals};
use crate::fake::Runs;
use crate::fake::harness::{DATA, System};

const READ: u64 = 0;
const OPEN: u64 = 2;
const KILL: u64 = 62;
const SIGKILL: u64 = 9;
const SIGUSR1: u64 = 10;
/// Seeds that are tried until one makes the call in question wait: one in four does.
const SEEDS: std::ops::Range<u64> = 1..60;

/// What passes without it must pass with it.
const TESTS: [(&str, fn()); 43] = [
    ("file_is_written_and_read_back", files::file_is_written_and_read_back),
    ("pipe_carries_bytes_and_ends", files::pipe_carries_bytes_and_ends),
    ("full_pipe_makes_its_writer_wait_and_loses_nothing", files::full_pipe_makes_its_writer_wait_and_loses_nothing),
    ("writer_without_reader_gets_sigpipe", files::writer_without_reader_gets_sigpipe),
    ("descriptors_are_the_lowest_and_limited", files::descriptors_are_the_lowest_and_limited),
    ("descriptors_marked_so_are_closed_by_exec", files::descriptors_marked_so_are_closed_by_exec),
    ("devices_play_their_parts", files::devices_play_their_parts),
    ("own_program_is_found_through_proc", files::own_program_is_found_through_proc),
    ("proc_is_listed_and_read", files::proc_is_listed_and_read),
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
