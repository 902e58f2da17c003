//! Threads and what they share.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel, sync_channel};
use std::sync::{Arc, Barrier, Condvar, Mutex, Once, RwLock};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::{Check, Outcome, expect};

pub(crate) const CHECKS: [Check; 9] = [
    ("threads_return_values", threads_return_values),
    ("scoped_threads_borrow", scoped_threads_borrow),
    ("mutexes_exclude", mutexes_exclude),
    ("channels_keep_order", channels_keep_order),
    ("bounded_channels_block", bounded_channels_block),
    ("condition_variables_wake", condition_variables_wake),
    ("locks_and_barriers", locks_and_barriers),
    ("thread_locals_are_local", thread_locals_are_local),
    ("time_passes", time_passes),
];

fn threads_return_values() -> Outcome {
    let handles: Vec<_> = (0..16u64).map(|index| thread::spawn(move || index * index)).collect();
    let mut sum = 0;
    for handle in handles {
        sum += handle.join().map_err(|_| "a thread panicked")?;
    }
    expect(sum == 1240, "the sum of squares")
}

fn scoped_threads_borrow() -> Outcome {
    let numbers: Vec<u64> = (0..10_000).collect();
    let total = AtomicU64::new(0);
    thread::scope(|scope| {
        for part in numbers.chunks(1000) {
            let total = &total;
            scope.spawn(move || total.fetch_add(part.iter().sum(), Ordering::Relaxed));
        }
    });
    expect(total.into_inner() == 49_995_000, "the sum of the parts")
}

fn mutexes_exclude() -> Outcome {
    let counter = Arc::new(Mutex::new(0u64));
    let handles: Vec<_> = (0..8)
        .map(|_| {
            let counter = Arc::clone(&counter);
            thread::spawn(move || {
                for _ in 0..5000 {
                    if let Ok(mut counter) = counter.lock() {
                        *counter += 1;
                    }
                }
            })
        })
        .collect();
    for handle in handles {
        handle.join().map_err(|_| "a thread panicked")?;
    }
    let count = counter.lock().map(|count| *count).map_err(|_| "poisoned")?;
    expect(count == 40_000, "every increment counts")
}

fn channels_keep_order() -> Outcome {
    let (sender, receiver) = channel();
    let producer = thread::spawn(move || (0..10_000u32).try_for_each(|number| sender.send(number)));
    let received: Vec<u32> = receiver.iter().collect();
    expect(received == (0..10_000).collect::<Vec<_>>(), "all numbers in order")?;
    producer.join().map_err(|_| "the producer panicked")??;
    let (sender, receiver) = channel::<()>();
    expect(receiver.recv_timeout(Duration::from_millis(5)) == Err(RecvTimeoutError::Timeout), "a time-out")?;
    drop(sender);
    expect(receiver.recv().is_err(), "the end of a channel without senders")
}

fn bounded_channels_block() -> Outcome {
    let (sender, receiver) = sync_channel(2);
    let producer = thread::spawn(move || (0..1000u32).try_for_each(|number| sender.send(number)));
    let mut expected = 0;
    while let Ok(number) = receiver.recv() {
        expect(number == expected, "numbers in order")?;
        expected += 1;
    }
    expect(expected == 1000, "all of them")?;
    Ok(producer.join().map_err(|_| "the producer panicked")??)
}

fn condition_variables_wake() -> Outcome {
    let shared = Arc::new((Mutex::new(0u32), Condvar::new()));
    let other = Arc::clone(&shared);
    let partner = thread::spawn(move || play(&other, 1));
    play(&shared, 0)?;
    partner.join().map_err(|_| "the partner panicked")??;
    let turns = shared.0.lock().map(|turns| *turns).map_err(|_| "poisoned")?;
    expect(turns == 200, "a hundred turns each")
}

/// Takes every other turn.
fn play(shared: &(Mutex<u32>, Condvar), me: u32) -> Result<(), &'static str> {
    let (turns, changed) = shared;
    for _ in 0..100 {
        let guard = turns.lock().map_err(|_| "poisoned")?;
        let mut guard = changed.wait_while(guard, |turns| *turns % 2 != me).map_err(|_| "poisoned")?;
        *guard += 1;
        changed.notify_all();
    }
    Ok(())
}

fn locks_and_barriers() -> Outcome {
    static FIRST: Once = Once::new();
    let (table, barrier, first) = (RwLock::new(vec![0u32; 4]), Barrier::new(4), AtomicU64::new(0));
    let leaders = AtomicU64::new(0);
    thread::scope(|scope| {
        for index in 0..4 {
            let (table, barrier, first, leaders) = (&table, &barrier, &first, &leaders);
            scope.spawn(move || {
                FIRST.call_once(|| _ = first.fetch_add(1, Ordering::SeqCst));
                if let Ok(mut table) = table.write() {
                    table[index] = 1;
                }
                if barrier.wait().is_leader() {
                    leaders.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    expect(first.into_inner() == 1 && leaders.into_inner() == 1, "one first and one leader")?;
    expect(table.read().is_ok_and(|table| *table == [1; 4]), "all entries written")
}

fn thread_locals_are_local() -> Outcome {
    thread_local! {
        static OWN: Cell<u32> = const { Cell::new(1) };
    }
    OWN.set(5);
    let other = thread::spawn(|| OWN.replace(9)).join().map_err(|_| "the thread panicked")?;
    expect(other == 1 && OWN.get() == 5, "a value for each thread")
}

fn time_passes() -> Outcome {
    let (before, nap) = (Instant::now(), Duration::from_millis(20));
    thread::sleep(nap);
    expect(before.elapsed() >= nap, "a sleep takes its time")?;
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH)?;
    expect(since_epoch.as_secs() > 1_600_000_000, "a plausible date")?;
    expect(thread::available_parallelism()?.get() >= 1, "a processor")
}
