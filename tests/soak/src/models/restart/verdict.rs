//! Whether a run was as if nobody had died: each request was done once by each server if its caller heard that it was, and once or not at all if its caller was
//! told that it cannot be known, or died; and the answers are those of servers that did one request after the other, in an order in which none that
//! was over came after one that had not begun (linearizability: Herlihy and Wing, 1990).

use protocols::call::CallError;

use super::BASE;
use super::client::{Client, Doing, Request};

/// How often a request was done, by a sum.
fn times(sum: u64, request: &Request) -> u64 {
    sum / request.amount % BASE
}

/// What is wrong at the end, when the sums of the servers, the first one first, are `sums`.
pub(super) fn judge(clients: &[Client], sums: &[u64]) -> Result<(), String> {
    let all = || clients.iter().flat_map(|client| client.requests.iter().map(move |request| (client, request)));
    let asked: u64 = all().map(|(_, request)| request.amount * (BASE - 1)).sum();
    for (level, sum) in sums.iter().enumerate() {
        if *sum > asked {
            return Err(format!("server {level} has done what nobody asked for: {sum}"));
        }
        for (client, request) in all() {
            let times = times(*sum, request);
            let is_right = match request.ended {
                Some((_, Ok(_))) => times == 1,
                Some((_, Err(CallError::Closed | CallError::Service(super::run::BEHIND_IS_CLOSED)))) => times <= 1,
                Some((_, Err(_))) => false,
                None if client.doing == Doing::Dead => times <= u64::from(request.began.is_some()),
                None => return Err(format!("the caller of {request:?} waits for ever")),
            };
            if !is_right {
                return Err(format!("{request:?} was done {times} times by server {level}"));
            }
        }
    }
    let mut done: Vec<(&Request, u64, u64)> = all().filter_map(|(_, request)| Some((request, request.ended?.0, request.ended?.1.ok()?))).collect();
    done.sort_by_key(|(_, _, answer)| *answer);
    for pair in done.windows(2) {
        let [(earlier, _, sum), (later, _, next)] = pair else { continue };
        let grows = all().all(|(_, request)| times(*sum, request) <= times(*next, request));
        if !grows || times(*sum, later) != 0 {
            return Err(format!("{earlier:?} and {later:?} do not follow each other"));
        }
    }
    for (index, (later, ended, _)) in done.iter().enumerate() {
        if let Some((earlier, ..)) = done[..index].iter().find(|(earlier, ..)| earlier.began.is_some_and(|began| *ended < began)) {
            return Err(format!("{later:?} was over before {earlier:?} began, and counts it"));
        }
    }
    let counts_itself = |(request, _, sum): &(&Request, u64, u64)| times(*sum, request) == 1;
    if let Some((request, ..)) = done.iter().find(|done| !counts_itself(done)) {
        return Err(format!("the answer to {request:?} does not count it"));
    }
    Ok(())
}
