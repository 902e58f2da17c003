//! Every message fits: the largest of each kind into a message, the start information into its pages, results that are kept into a lane.

mod samples;

use abi::{MAX_MESSAGE, PAGE_SIZE};
use protocols::serve::Answer;
use protocols::vfs;
use protocols::wire::{self, WireError};
use samples::{Protocol, bytes_of, supervisor};

/// `libsys::lane::MAX_RESULT`: what a server keeps of a numbered request. This crate does not depend on the runtime.
const MAX_RESULT: usize = 64;
/// `libsys::layout::START_INFO_PAGES`, less the length word.
const START_INFO_BYTES: usize = 4 * PAGE_SIZE as usize - 4;

fn largest_messages_fit<P: Protocol>() {
    for request in P::requests() {
        let fits = wire::encode(&request, &mut [0; MAX_MESSAGE]);
        assert!(fits.is_ok(), "{}: a request of {} bytes", P::NAME, bytes_of(&request).len());
    }
    for reply in P::replies() {
        let result: Result<P::Reply, P::Error> = Ok(reply);
        assert_ne!(Answer::encode(&result, &mut [0; MAX_MESSAGE]).bytes, 0, "{}: a reply of {} bytes", P::NAME, bytes_of(&result).len());
    }
    for error in P::errors() {
        let result: Result<P::Reply, P::Error> = Err(error);
        assert_ne!(Answer::encode(&result, &mut [0; MAX_MESSAGE]).bytes, 0, "{}: an error", P::NAME);
    }
}

fn reply_buffer_that_is_too_small_is_no_panic<P: Protocol>() {
    for reply in P::replies() {
        let length = bytes_of(&reply).len();
        assert_eq!(wire::encode(&reply, &mut vec![0; length - 1]), Err(WireError::TooLong));
    }
}

each_protocol!(largest_messages_fit, reply_buffer_that_is_too_small_is_no_panic);

#[test]
fn largest_start_information_fits_its_pages() {
    assert!(bytes_of(&supervisor::largest_start_info()).len() <= START_INFO_BYTES);
}

#[test]
fn vfs_replies_have_at_most_the_bytes_that_its_client_has_room_for() {
    for result in samples::vfs::Vfs::replies().into_iter().map(Ok).chain(samples::vfs::Vfs::errors().into_iter().map(Err)) {
        let result: Result<vfs::Reply, vfs::Error> = result;
        assert!(bytes_of(&result).len() <= vfs::MAX_REPLY);
    }
}

#[test]
fn results_of_numbered_vfs_requests_fit_a_lane() {
    for reply in samples::vfs::Vfs::replies() {
        if matches!(reply, vfs::Reply::Done | vfs::Reply::Opened(_) | vfs::Reply::Made(_) | vfs::Reply::Written { .. }) {
            assert!(bytes_of(&Ok::<_, vfs::Error>(reply)).len() <= MAX_RESULT);
        }
    }
}
