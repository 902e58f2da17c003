//! The run's options, as far as they concern the supervisor: which failpoint is armed in which instance.
//!
//! `fail=SERVICE:POINT:N` may stand several times for a service. The n-th such line is armed in the service's n-th instance, so a list of
//! failpoints is a sequence of deaths. There is no queue to keep: the instance's number says which line is next.

use heapless::String;
use protocols::service::Service;
use protocols::supervisor::{FailPoint, MAX_OPTIONS};

/// What a line begins with that arms a failpoint.
const ARMS: &str = "fail=";
/// What a line begins with that arms the injector.
const INJECTS: &str = "inject=";

/// The options as servers are shown them: without the failpoints, of which each is told its own, so that there may be any number of those; and without
/// faults from outside, of which no server may know. `None` if that is too long.
#[must_use]
pub fn shown(options: &str) -> Option<String<MAX_OPTIONS>> {
    let mut text = String::new();
    for line in options.lines().filter(|line| ![ARMS, INJECTS].iter().any(|prefix| line.trim().starts_with(prefix))) {
        text.push_str(line).and_then(|()| text.push('\n')).ok()?;
    }
    Some(text)
}

/// The failpoint to arm in `instance` of `service`. Lines that cannot be read are passed over.
#[must_use]
pub fn armed(options: &str, service: Service, instance: u32) -> Option<FailPoint> {
    let lines = options.lines().filter_map(|line| line.trim().strip_prefix(ARMS));
    let mut points = lines.filter_map(|line| parse(line, service));
    points.nth(instance.checked_sub(1)? as usize)
}

fn parse(line: &str, service: Service) -> Option<FailPoint> {
    let (name, rest) = line.split_once(':')?;
    let (point, nth) = rest.rsplit_once(':')?;
    if name != service.name() {
        return None;
    }
    Some(FailPoint { point: String::try_from(point).ok()?, nth: nth.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::{armed, shown};
    use protocols::service::Service;

    const OPTIONS: &str = "script=/s\nfail=vfs:write.intent:1\nfail=posix:fork.effect:3\nfail=vfs:write.effect:2\nfail=vfs:bad\nfail=vfs::x\n";

    #[test]
    fn each_instance_gets_the_next_line_of_its_service() {
        let name = |service, instance| armed(OPTIONS, service, instance).map(|fail| (fail.point.as_str().to_owned(), fail.nth));
        assert_eq!(name(Service::Vfs, 1), Some(("write.intent".to_owned(), 1)));
        assert_eq!(name(Service::Vfs, 2), Some(("write.effect".to_owned(), 2)));
        assert_eq!(name(Service::Vfs, 3), None);
        assert_eq!(name(Service::Posix, 1), Some(("fork.effect".to_owned(), 3)));
        assert_eq!(name(Service::Console, 1), None);
    }

    #[test]
    fn servers_are_shown_all_but_failpoints_and_faults() {
        let many = "fail=vfs:write.intent:1\n".repeat(1000) + OPTIONS + "inject=1:5:all:all\nvfs-pending=3";
        assert_eq!(shown(&many).as_deref(), Some("script=/s\nvfs-pending=3\n"));
        assert_eq!(shown(&"x=1\n".repeat(1000)), None);
    }
}
