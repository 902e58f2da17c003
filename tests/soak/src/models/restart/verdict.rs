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

#[cfg(test)]
mod tests {
    use super::super::client::{Client, Doing, Request};
    use super::{BASE, judge};
    use abi::RequestNumber;
    use microkernel::fake::World;
    use protocols::call::CallError;

    type Ended = Option<(u64, Result<u64, CallError<u8>>)>;

    /// Two callers with a request each, which add 1 and `BASE`: when each began, and what became of it.
    fn clients(asked: [(u64, Ended); 2]) -> Vec<Client> {
        let process = World::with_pages(512).spawn();
        let client = |(amount, (began, ended))| {
            let request = Request { number: RequestNumber::new(7, 1, 1, 0), amount, began: (began > 0).then_some(began), ended };
            Client::new(process, vec![request])
        };
        [1, BASE].into_iter().zip(asked).map(client).collect()
    }

    #[test]
    fn each_is_done_once_in_an_order() {
        let side_by_side = clients([(1, Some((4, Ok(1 + BASE)))), (2, Some((3, Ok(BASE))))]);
        assert_eq!(judge(&side_by_side, &[1 + BASE, 1 + BASE]), Ok(()));
        for sum in [0, BASE, 1, 2 + BASE, 1 + 2 * BASE, 1 + BASE + BASE * BASE * BASE] {
            assert!(judge(&side_by_side, &[1 + BASE, sum]).is_err(), "{sum}");
        }
    }

    #[test]
    fn answers_that_no_order_gives_are_wrong() {
        for (first, second) in [(1, BASE), (1 + BASE, 1 + BASE), (BASE, 1 + BASE), (1, 1)] {
            assert!(judge(&clients([(1, Some((4, Ok(first)))), (2, Some((3, Ok(second))))]), &[1 + BASE]).is_err(), "{first} {second}");
        }
        let in_turn = |first, second| clients([(1, Some((2, Ok(first)))), (3, Some((4, Ok(second))))]);
        assert_eq!(judge(&in_turn(1, 1 + BASE), &[1 + BASE]), Ok(()));
        assert!(judge(&in_turn(1 + BASE, BASE), &[1 + BASE]).is_err(), "the later one was first");
    }

    #[test]
    fn who_was_told_or_died_may_have_been_served_once() {
        let told = clients([(1, Some((2, Err(CallError::Closed)))), (0, Some((3, Err(CallError::Closed))))]);
        assert_eq!([0, 1, 2].map(|sum| judge(&told, &[sum]).is_ok()), [true, true, false]);
        let dead = |began| {
            let mut clients = clients([(began, None), (1, Some((2, Ok(BASE))))]);
            clients[0].doing = Doing::Dead;
            clients
        };
        assert_eq!([BASE, BASE + 1, BASE + 2].map(|sum| judge(&dead(1), &[sum]).is_ok()), [true, true, false]);
        assert!(judge(&dead(0), &[BASE + 1]).is_err(), "it never asked");
        assert!(judge(&clients([(1, None), (1, Some((2, Ok(BASE))))]), &[BASE]).is_err(), "it waits for ever");
        assert!(judge(&clients([(1, Some((3, Err(CallError::Dropped)))), (1, Some((2, Ok(BASE))))]), &[BASE]).is_err(), "it was told wrongly");
    }
}
